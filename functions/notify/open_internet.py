"""Keeps what is sent to a channel out of our own network, whoever makes the connection.

apprise knows some eighty schemes whose addresses name a host, some in their queries, and each looks it up itself. So it
is not the address that is read: Python tells an audit hook of every connection before it is made, and to which address.
"""

import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

# Addresses that may carry one inside the network, written as one outside it, and site-local ones: IPv4-compatible,
# -mapped and -translated, NAT64, Teredo, 6to4 (RFC 4291, 2765, 6052, 8215, 4380, 3056, 3879).
_CARRIERS = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16",
            "fec0::/10",
        ),
    )
)  # fmt: skip
_SENDING = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg"})
_watched: ContextVar[bool] = ContextVar("_watched", default=False)


def outside(address: str) -> bool:
    """Whether an address is one of the open internet's, and carries no other address inside it."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # a name, which may lead anywhere
        return False
    return found.is_global and not found.is_multicast and not any(found in network for network in _CARRIERS)


@contextmanager
def only_outside() -> Iterator[None]:
    """Within it this thread connects to the open internet only; anything else is a PermissionError.

    A proxy inside the network is refused too, and so is a name that is left for the socket to look up.
    """
    _watch()
    before = _watched.set(True)
    try:
        yield
    finally:
        _watched.reset(before)


@cache
def _watch() -> None:
    """Once in a process: a hook cannot be taken back."""
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if event in _SENDING and _watched.get() and not _reaches_outside(arguments[1]):
        raise PermissionError("an address inside the network")


def _reaches_outside(target: object) -> bool:
    """Of sockets whose target is no host and port only those that are connected already have none to name."""
    return target is None or (isinstance(target, tuple) and outside(str(target[0])))
