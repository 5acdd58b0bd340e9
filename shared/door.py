"""The one door to the outside world: every external effect passes here by name.

Production turns the clients' many exceptions into Serin's few. Whoever wants to trace, delay or break an effect puts
another door in its place; nothing in the project reaches a client around it.
"""

from collections.abc import Callable
from typing import Protocol, TypeVar

from shared.errors import Conflict, Refused, Transient

T = TypeVar("T")
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_CONFLICT = frozenset({409, 412})


class Door(Protocol):
    """Carries out a named effect and answers what it answered."""

    def __call__(self, effect: str, act: Callable[[], T]) -> T: ...


def open_door(effect: str, act: Callable[[], T]) -> T:
    """Carries out the effect; raises Transient, Conflict or Refused instead of what the client raised."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from requests.exceptions import ConnectionError as Unreachable
    from requests.exceptions import Timeout

    try:
        return act()
    except (RetryError, Unreachable, Timeout, ConnectionError, TimeoutError) as error:
        raise Transient(effect, type(error).__name__) from error
    except GoogleAPICallError as error:
        raise _translated(effect, error.code, str(error.message)) from error


def _translated(effect: str, code: int | None, message: str) -> Exception:
    if code is None or code in _BUSY:
        return Transient(effect, f"status {code}")
    if code in _CONFLICT:
        return Conflict(effect)
    return Refused(effect, f"status {code}: {message}")
