"""What a decision of the judge costs: processor time and operations of storage, in the first hour and after a day."""

import contextlib
import io
import time
from statistics import median

from bench.report import Row, at_most
from shared.remembering import RememberingStore
from tests.functions.monitor_canary.evidence_world import Canary, report

_EARLY, _LATE, _LOOKS = 60, 1440, 20


def costs() -> list[Row]:
    """A canary that never gets what it needs to go on, minute after minute for a day, as a warm process judges it."""
    canary = Canary()
    canary.cloud.state = RememberingStore(canary.cloud.state)  # type: ignore[assignment]
    with contextlib.redirect_stdout(io.StringIO()):
        told = [_interval(canary, number) for number in range(_LATE)]
    early, late = told[_EARLY - _LOOKS : _EARLY], told[-_LOOKS:]
    growth = median(operations for _, operations in late) / median(operations for _, operations in early)
    return [
        at_most(
            "a report that closes an interval, in the first hour", 1000 * min(cpu for cpu, _ in early), "ms CPU", 5
        ),
        at_most("a report that closes an interval, after a day", 1000 * min(cpu for cpu, _ in late), "ms CPU", 5),
        Row("operations of storage for it, after a day", median(operations for _, operations in late), "operations"),
        at_most("those operations over the ones in the first hour", growth, "ratio", 1.0),
    ]


def _interval(canary: Canary, number: int) -> tuple[float, int]:
    """The processor time and the operations of the delivery that closes an interval."""
    effects = canary.cloud.door.effects
    before, begun = len(effects), time.process_time()
    canary.tell(report(number, "1", requests=1140, labelled=0))
    spent = time.process_time() - begun
    operations = sum(effect.startswith("storage") for effect in effects[before:])
    canary.tell(report(number, "2", requests=2, labelled=0))
    canary.cloud.pass_time(1)
    return spent, operations
