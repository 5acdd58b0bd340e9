"""W3C trace context: each chain of events has one trace, started where its first event is, from what started it.

Ids follow from names, not from chance: a step that is done again tells of the same span again.
"""

import hashlib
import re

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_SAMPLED = "01"


def started(identity: str) -> str:
    """The traceparent of a chain that begins with what this identity names."""
    digest = hashlib.sha256(identity.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-{_SAMPLED}"


def continued(traceparent: str | None, function: str, cause: str) -> str:
    """The traceparent of a function's work on an event: in the event's trace, or in a new one if it had none."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return started(cause)
    span = hashlib.sha256(f"{function}\0{cause}".encode()).hexdigest()[:16]
    return f"00-{found[1]}-{span}-{_SAMPLED}"


def parts(traceparent: str | None) -> tuple[str, str] | None:
    """Trace id and span id, in hexadecimal; None where there is no traceparent."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return (found[1], found[2]) if found else None
