"""From bytes to what answers: models that have answered a first row, the decoder of their rows, the account of both."""

import time
from collections.abc import Callable

from serving_image.account import Account, Ended
from serving_image.answering import Answering
from serving_image.artefacts import Artefacts
from serving_image.configuration import Configuration
from serving_image.counting import BinCounts
from serving_image.decoding import Decoder
from serving_image.service import Loaded
from shared.distributions import Baseline
from shared.served_model import Model, Signature

_UNREPORTED_SECONDS = 60.0  # of the intervals that only /metrics adds up


def load(
    configuration: Configuration, artefacts: Artefacts, ended: Ended, clock: Callable[[], float] = time.time
) -> Loaded:
    """What answers with these artefacts; `ended` is given every interval of evidence."""
    signature = Signature.parse(artefacts.signature)
    model = Model(artefacts.graph, signature, artefacts.anomaly)
    identity = configuration.identity
    counts = BinCounts(signature, Baseline.parse(artefacts.baseline) if artefacts.baseline is not None else None)
    return Loaded(
        Answering(model, configuration.model_version or signature.run, identity, artefacts.key),
        Decoder(signature, configuration.limits.rows),
        counts,
        Account(identity.report_seconds if identity else _UNREPORTED_SECONDS, counts, ended, clock),
    )
