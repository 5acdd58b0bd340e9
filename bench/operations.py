"""How many operations of Cloud Storage, Pub/Sub and Vertex AI an upload, a run and a tick cost: counted, not timed."""

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from bench.report import Row, at_most
from shared.remembering import RememberingStore
from tests.e2e.theatre import Theatre
from tests.world.running import drop, settle

_UPLOADS = 60  # with one row each, below the threshold
_WIDTH = 64


def measured() -> list[Row]:
    """The story in memory, each effect counted at the door."""
    with contextlib.redirect_stdout(io.StringIO()):
        return [*_of_uploads(), *_of_runs()]


def _of_uploads() -> list[Row]:
    theatre = Theatre(seed=1)
    theatre.settle()
    found = [_counted(theatre, partial(_one_row, theatre, number)) for number in range(_UPLOADS)]
    rows = [*_rows("the 2nd upload of a model", found[1]), *_rows(f"the {_UPLOADS}th upload of a model", found[-1])]
    growth = sum(found[-1].values()) / sum(found[1].values())
    return [*rows, at_most("operations of the last upload over those of the second", growth, "ratio", 1.0)]


def _of_runs() -> list[Row]:
    theatre = Theatre(seed=1)
    theatre.settle()
    theatre.drop(theatre.story.act(1))
    first = _counted(theatre, lambda: theatre.drop(theatre.story.act(2)))
    theatre.drop(theatre.story.act(3))
    # As in production, where a function's process remembers the records that it has read.
    theatre.cloud.state = RememberingStore(theatre.cloud.state)  # type: ignore[assignment]
    theatre.traffic(5, until=lambda _: False)
    interval = _counted(theatre, lambda: theatre.traffic(1, until=lambda _: True))
    ticks = len(theatre.ticked)
    theatre.look()
    tick = _by_service(theatre.ticked[ticks:])
    return [
        *_rows("a run from drop to production, ticks left out", first),
        *_rows("one interval of a canary, ticks left out", interval),
        *_rows("a tick while a canary is watched", tick),
    ]


def _rows(what: str, found: Counter[str]) -> list[Row]:
    return [Row(f"{what}: {service}", found[service], "operations") for service in sorted(found)]


def _one_row(theatre: Theatre, number: int) -> None:
    header = ",".join([*(f"p{column}" for column in range(_WIDTH)), "digit"])
    drop(theatre.cloud, f"data/digits/one-{number:03d}.csv", f"{header}\n{number},{'0,' * (_WIDTH - 1)}3\n".encode())
    settle(theatre.cloud)


def _counted(theatre: Theatre, act: Callable[[], object]) -> Counter[str]:
    """The operations of an act by service, without those of the ticks that came with it."""
    effects = theatre.cloud.door.effects
    before, ticks = len(effects), len(theatre.ticked)
    act()
    return _by_service(effects[before:]) - _by_service(theatre.ticked[ticks:])


def _by_service(effects: Sequence[str]) -> Counter[str]:
    return Counter(effect.split(".")[0] for effect in effects)
