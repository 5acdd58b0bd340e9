"""What people do in a soak: they drop settings and files, wait for runs to end, answer questions, ask for rollbacks."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cli.connection import ledger_of, say
from shared.environment import Cloud
from shared.errors import SerinError, Transient
from shared.events import ApprovalAnswered, Event, RollbackRequested
from shared.ids import ModelName, RunId, run_id
from shared.ledger import Record, rollout_key, run_key
from tests.e2e.soak_trainer.fates import fate_of

T = TypeVar("T")
IMAGE = "soak-trainer:1"
TRAINER = Path(__file__).parent / "soak_trainer"
ROWS = 20
DROPPERS = 8
LOOK_SECONDS = 0.5
RECORDS_SECONDS = 2.0
_SETTINGS = f"""
[data]
target = "y"
[threshold]
at_least = {{at_least}}
[training]
image = "{IMAGE}"
attempts = 3
timeout_seconds = 120
[rollout]
steps = {{steps}}
bake_seconds = {{bake}}
[evidence]
report_seconds = {{report}}
grace_intervals = 1
minimum_seconds = 1
minimum_requests = 0
time_limit_seconds = 10
silent_intervals = 5
[serving]
deploy_timeout_seconds = 120
smoke_latency_seconds = 30
versions_kept = 2
"""


class OverError(SerinError):
    """The time is over; what was not begun is not begun any more."""


@dataclass
class People:
    """Everybody who uses the local cloud; `over` ends them, wherever they wait."""

    cloud: Cloud
    over: threading.Event = field(default_factory=threading.Event)
    dropped: Counter[str] = field(default_factory=Counter)
    runs_ended: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def persistently(self, ask: Callable[[], T]) -> T:
        """What is asked, asked again while what answers is being started; OverError once it is over."""
        while True:
            try:
                return ask()
            except Transient as busy:
                if self.over.wait(LOOK_SECONDS):
                    raise OverError("over") from busy

    def settle_on(self, model: ModelName, at_least: int, number: int = 0) -> None:
        """Drops a model's settings: of every two models one goes to all traffic at once and bakes long."""
        steps, bake, report = ("[100]", 600, 20) if number % 2 == 0 else ("[50, 100]", 1, 2)
        text = _SETTINGS.format(at_least=at_least, steps=steps, bake=bake, report=report)
        self.persistently(lambda: self.cloud.data.create(f"settings/{model}.toml", text.encode()))

    def drop(self, model: ModelName, number: int) -> None:
        """Drops the model's file of this number, which no other file equals."""
        name, content = f"data/{model}/{number:06d}.csv", rows(model, number).encode()
        self.persistently(lambda: self.cloud.data.create(name, content))
        with self._counting:
            self.dropped[model] += 1

    def run_all(self, models: list[ModelName], runs: int, until: float) -> None:
        """So many runs, all models at once, of each one after the other; none begins after `until`."""
        for number, model in enumerate(models):
            self.settle_on(model, ROWS, number)
        shares = [runs // len(models) + (place < runs % len(models)) for place in range(len(models))]
        self._all(lambda share: self._run(*share, until), zip(models, shares, strict=True), len(models))

    def _all(self, act: Callable[[T], None], on: Iterable[T], at_once: int) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            try:
                list(pool.map(act, on))
            except BaseException:  # Ctrl-C too: who waits for the others would wait for the end of the phase
                self.over.set()
                raise

    def _run(self, model: ModelName, runs: int, until: float) -> None:
        for number in range(1, runs + 1):
            if self.over.is_set() or time.monotonic() > until:
                return
            self.drop(model, number)
            if not self._ended(run_id(model, number), number):
                return
            with self._counting:
                self.runs_ended += 1

    def _ended(self, run: RunId, number: int) -> bool:
        """Whether the run has ended before all is over; meanwhile it is answered, or left, where that is its fate."""
        fate, spoken = fate_of(number), False
        while self._find(run, "end") is None:
            if not spoken and fate in ("asked", "left"):
                spoken = self._spoken(run, fate)
            if self.over.wait(LOOK_SECONDS):
                return False
        return True

    def _spoken(self, run: RunId, fate: str) -> bool:
        """Whether there was something to answer, or to roll back."""
        model = ModelName(run.rsplit("-", 1)[0])
        event: Event
        if fate == "asked":
            if self._find(run, "decision") is None:
                return False
            event = ApprovalAnswered(model=model, run=run, answer="reject", by="soak", because="its fate")
        else:
            rollout = self._find(run, "rollout")
            if rollout is None or self._of_rollout(model, rollout.data["rollout"]) is None:
                return False
            event = RollbackRequested(model=model, rollout=rollout.data["rollout"], by="soak", because="its fate")
        self.persistently(lambda: say(self.cloud, event, f"soak/{run}/{fate}"))
        return True

    def _of_rollout(self, model: ModelName, number: int) -> Record | None:
        """The rollout's first step, once it was ordered."""
        return self.persistently(lambda: ledger_of(self.cloud).find(rollout_key(model, number, "steps/000001")))

    def _find(self, run: RunId, name: str) -> Record | None:
        return self.persistently(lambda: ledger_of(self.cloud).find(run_key(run, name)))

    def drop_all(self, models: list[ModelName], uploads: int, until: float) -> None:
        """Drops files for the models in turn, eight at a time, as fast as they are taken; none after `until`."""
        for model in models:
            self.settle_on(model, 10**7)

        def one(number: int) -> None:
            if not self.over.is_set() and time.monotonic() < until:
                self.drop(models[number % len(models)], number)

        self._all(one, range(uploads), DROPPERS)

    def wait_for_records(self, models: list[ModelName]) -> None:
        """Until every upload has its record, or it is over."""
        for model in models:
            while self._recorded(model) < self.dropped[model] and not self.over.wait(RECORDS_SECONDS):
                pass

    def _recorded(self, model: ModelName) -> int:
        return len(self.persistently(lambda: self.cloud.state.entries(f"uploads/{model}/")))


def rows(model: str, number: int) -> str:
    """A file of twenty rows that no other file has."""
    tag = sum(map(ord, model))
    lines = (f"{number}.{row},{tag + row % 2 * 50},{'xy'[row % 2]}\n" for row in range(ROWS))
    return "a,b,y\n" + "".join(lines)
