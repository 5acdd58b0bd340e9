"""ifGenerationMatch and its siblings, decided inside the transaction that acts on them."""

from dataclasses import dataclass
from typing import Protocol

from local.storage.errors import NotModified, condition_not_met


class Versioned(Protocol):
    """What a precondition looks at."""

    @property
    def generation(self) -> int: ...

    @property
    def metageneration(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The numbers a request may demand or forbid; None where it says nothing. Generation 0: no live object."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None

    def check_write(self, current: Versioned | None) -> None:
        """Raise CloudError 412 unless `current` (None: no such object) is what the writer expects."""
        if not (self._matches(current) and self._is_other(current)):
            raise condition_not_met()

    def check_read(self, current: Versioned) -> None:
        """Raise CloudError 412 when `current` is not the one asked for, NotModified when it is known already."""
        if not self._matches(current):
            raise condition_not_met()
        if not self._is_other(current):
            raise NotModified

    def _matches(self, current: Versioned | None) -> bool:
        generation, metageneration = _numbers(current)
        generation_fits = self.generation_match in (None, generation)
        return generation_fits and self.metageneration_match in (None, metageneration)

    def _is_other(self, current: Versioned | None) -> bool:
        generation, metageneration = _numbers(current)
        if self.generation_not_match is not None and self.generation_not_match == generation:
            return False
        return self.metageneration_not_match is None or self.metageneration_not_match != metageneration


NO_PRECONDITIONS = Preconditions()


def _numbers(current: Versioned | None) -> tuple[int, int]:
    return (0, 0) if current is None else (current.generation, current.metageneration)


@dataclass(frozen=True, slots=True)
class MetagenerationOf:
    """A bucket as preconditions see it: buckets have no generations."""

    metageneration: int
    generation: int = 0
