"""The kinds of failure, so that every function treats the same trouble the same way.

SerinError
├── BadInput    recorded with its reasons, told to people, acknowledged; never tried again
├── Untrusted   a delivery by somebody who may not deliver: answered with 403, nothing recorded
├── NotYet      something that must come first is missing; Pub/Sub delivers again, reconcile is the backstop
└── Transient   the outside world was busy (429, 5xx, timeout); Pub/Sub delivers again

Anything else that is raised is a bug: delivered again, dead-lettered in the end.
"""

from collections.abc import Sequence


class SerinError(Exception):
    """The root of what Serin raises on purpose."""


class BadInput(SerinError):
    """Input that will never become right, with every reason why."""

    def __init__(self, what: str, reasons: Sequence[str]) -> None:
        self.what = what
        self.reasons = tuple(reasons)
        super().__init__(f"{what}: {'; '.join(self.reasons)}")


class Untrusted(SerinError):
    """A delivery that does not come from where deliveries come from; says why in words of ours, never the token's."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"not taken: {reason}")


class NotYet(SerinError):
    """A step that came before what it builds on; it is delivered again later."""

    def __init__(self, missing: str) -> None:
        super().__init__(f"not yet: {missing}")


class Transient(SerinError):
    """An effect that the outside world refused for now."""

    def __init__(self, effect: str, cause: str) -> None:
        super().__init__(f"{effect} failed for now: {cause}")


class Conflict(SerinError):
    """A change refused because somebody else changed the same thing first."""

    def __init__(self, effect: str) -> None:
        super().__init__(f"{effect}: changed by somebody else in the meantime")


class Refused(SerinError):
    """An order that the outside world will never carry out as it was given."""

    def __init__(self, effect: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"{effect} refused: {reason}")

    @property
    def absent(self) -> bool:
        """Whether it was refused because the thing is not there."""
        return self.reason.startswith("status 404")
