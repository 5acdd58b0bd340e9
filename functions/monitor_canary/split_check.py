"""Whether the requests are split as was ordered: a canary that gets others' requests cannot be compared with them.

The evidence is the mean likelihood ratio of all other shares, weighted by a beta distribution around the ordered one
(Lindon and Malek, "Anytime-valid inference for multinomial count data", 2022): it may be looked at at any time.
"""

import math

_WEIGHT = 100.0  # of the ordered share among those that are bet on, in requests


def log_evidence(canary: int, production: int, percent: int) -> float:
    """The logarithm of the evidence after so many requests in either arm; 0 where nothing was split."""
    if not 0 < percent < 100:
        return 0.0
    share = percent / 100
    a, b = _WEIGHT * share, _WEIGHT * (1 - share)
    ordered = canary * math.log(share) + production * math.log1p(-share)
    return _log_beta(a + canary, b + production) - _log_beta(a, b) - ordered


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
