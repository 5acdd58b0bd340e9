"""Only this machine may ask, by its own name: a web page could otherwise reach the local cloud by rebinding a name."""

import re

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)


def is_loopback(host: str) -> bool:
    """Whether a `Host` header names this machine's loopback."""
    return _LOOPBACK.fullmatch(host) is not None
