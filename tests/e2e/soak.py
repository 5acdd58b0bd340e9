"""`make soak`: many runs and many uploads while everything is killed, repeated and put out of order; then the checks.

1  runs      RUNS runs over MODELS models, each begun by a drop and waited for until it has ended; some go to production
2  uploads   UPLOADS files over UPLOAD_MODELS models, as fast as they can be dropped
throughout   every few seconds one process of the local cloud is ended without warning, half of the functions' right
             after they have said something; a fifth of the messages comes again, a fifth is overtaken
then         what is kept must hold every rule of soak_checks.py; the report says what was survived and what it cost

No phase begins anything once its share of MINUTES is over: what was not begun is told, and the soak has failed.
"""

import argparse
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.demo.cloud import LocalCloud
from cli.demo.play import ends_when_told
from shared.environment import Cloud
from shared.errors import Transient
from shared.ids import ModelName, run_id
from shared.ledger import run_key
from shared.wiring import FUNCTIONS
from tests.e2e.killing import SERVICES, WORKERS, processes_of
from tests.e2e.soak_checks import broken, growth, look
from tests.functions.standing_run import ledger as ledger_of

TRAINER = Path(__file__).parent / "soak_trainer"
IMAGE = "soak-trainer:1"
ROWS = 20
DROPPERS = 8
FAULTS = "duplicates=0.2,reorderings=0.2,seconds=1"
SETTLE_SECONDS = 240.0
"""How long what was begun may take to end, once nothing is killed any more."""
SETTINGS = f"""
[data]
target = "y"
[threshold]
at_least = {{at_least}}
[training]
image = "{IMAGE}"
attempts = 5
timeout_seconds = 120
[rollout]
steps = [50, 100]
bake_seconds = 1
[evidence]
report_seconds = 1
minimum_seconds = 1
minimum_requests = 0
time_limit_seconds = 5
silent_intervals = 5
[serving]
deploy_timeout_seconds = 120
smoke_latency_seconds = 30
"""


@dataclass
class Report:
    """What was done, survived and measured."""

    runs_wanted: int
    uploads_wanted: int
    runs_ended: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    uploads_dropped: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    kills_after_a_word: int = 0
    duplicates: int = 0
    reorderings: int = 0
    runs_seconds: float = 0.0
    uploads_seconds: float = 0.0
    drops_per_second: float = 0.0
    uploads_per_second: float = 0.0
    peak_mebibytes: float = 0.0
    objects_per_run: tuple[float, float] = (0.0, 0.0)
    objects_per_upload: tuple[float, float] = (0.0, 0.0)
    broken: list[str] = field(default_factory=list)

    @property
    def linear(self) -> bool:
        """Whether the second half of the runs and of the uploads cost no more than the first, by a tenth."""
        return all(second <= 1.1 * first for first, second in (self.objects_per_run, self.objects_per_upload) if first)

    @property
    def passed(self) -> bool:
        done = self.runs_ended >= self.runs_wanted and self.uploads_dropped >= self.uploads_wanted
        return done and self.linear and not self.broken


class Chaos:
    """Ends a process of the local cloud every few seconds, and keeps the most memory that all of them had together."""

    def __init__(self, local: LocalCloud, every_seconds: float, chance: random.Random) -> None:
        self.kills: Counter[str] = Counter()
        self.after_a_word = 0
        self.peak_bytes = 0
        self._local, self._every, self._chance = local, every_seconds, chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos")

    def __enter__(self) -> "Chaos":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._chance.uniform(0.5, 1.5) * self._every):
            alive = processes_of(self._local)
            self.peak_bytes = max(self.peak_bytes, sum(_memory(each) for found in alive.values() for each in found))
            victims = sorted(set(alive) & {*SERVICES, *WORKERS, *FUNCTIONS})
            if victims:
                kind = self._chance.choice(victims)
                self._end(kind, self._chance.choice(alive[kind]))

    def _end(self, kind: str, victim: psutil.Process) -> None:
        """Just after its next word, if it is a function's and chance says so: between an effect and its answer."""
        spoke = kind in FUNCTIONS and self._chance.random() < 0.5 and self._has_spoken(kind)
        with suppress(psutil.NoSuchProcess):
            victim.kill()
            self.kills[kind] += 1
            self.after_a_word += spoke

    def _has_spoken(self, function: str) -> bool:
        log = self._local.home / "functions" / "logs" / f"{function}.log"
        size = log.stat().st_size if log.exists() else 0
        end = time.monotonic() + 2
        while time.monotonic() < end and not self._over.is_set():
            if log.exists() and log.stat().st_size > size:
                return True
            time.sleep(0.002)
        return False


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return int(process.memory_info().rss)
    return 0


@contextmanager
def soaking(home: Path) -> Iterator[tuple[LocalCloud, Cloud]]:
    """A local cloud that repeats and reorders, and knows the soak's trainer."""
    from cli.demo.cloud import local_cloud

    before = os.environ.get("SERIN_PUBSUB_FAULTS")
    os.environ["SERIN_PUBSUB_FAULTS"] = FAULTS
    local = LocalCloud(home, [f"--trainer={IMAGE}={TRAINER}"])
    try:
        with local_cloud(local) as cloud:
            yield local, cloud
    finally:
        os.environ.pop("SERIN_PUBSUB_FAULTS")
        if before is not None:
            os.environ["SERIN_PUBSUB_FAULTS"] = before


def persistently(ask: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What is asked, asked again while what answers is being started."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except Transient:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def put(cloud: Cloud, name: str, content: str) -> None:
    persistently(lambda: cloud.data.create(name, content.encode()))


def rows(model: str, number: int) -> str:
    """A file of twenty rows that no other file has."""
    tag = sum(map(ord, model))
    lines = (f"{number}.{row},{tag + row % 2 * 50},{'xy'[row % 2]}\n" for row in range(ROWS))
    return "a,b,y\n" + "".join(lines)


def run_model(cloud: Cloud, model: ModelName, runs: int, until: float) -> tuple[int, int]:
    """Drops a file, waits for the end of its run, and again; how many runs ended, how many files were dropped."""
    put(cloud, f"settings/{model}.toml", SETTINGS.format(at_least=ROWS))
    for number in range(1, runs + 1):
        put(cloud, f"data/{model}/{number:06d}.csv", rows(model, number))
        end = run_key(run_id(model, number), "end")
        while persistently(lambda end=end: ledger_of(cloud).find(end)) is None:  # type: ignore[misc]
            if time.monotonic() > until + SETTLE_SECONDS:
                return number - 1, number
            time.sleep(0.25)
        if time.monotonic() > until:
            return number, number
    return runs, runs


def drop_uploads(cloud: Cloud, models: list[ModelName], uploads: int, until: float) -> dict[str, int]:
    """Drops files for the models in turn, eight at a time; how many each was given."""
    for model in models:
        put(cloud, f"settings/{model}.toml", SETTINGS.format(at_least=10**7))
    dropped: Counter[str] = Counter()

    def one(number: int) -> None:
        if time.monotonic() < until:
            model = models[number % len(models)]
            put(cloud, f"data/{model}/{number:06d}.csv", rows(model, number))
            dropped[model] += 1

    with ThreadPoolExecutor(DROPPERS) as pool:
        list(pool.map(one, range(uploads)))
    return dict(dropped)


def wait_for_records(cloud: Cloud, dropped: dict[str, int], until: float) -> None:
    """Until every upload has its record, or the time is over."""
    left = dict(dropped)
    while left and time.monotonic() < until:
        for model in list(left):
            if len(persistently(lambda model=model: cloud.state.entries(f"uploads/{model}/"))) >= left[model]:  # type: ignore[misc]
                del left[model]
        time.sleep(0.5)


def settled(environment: dict[str, str], dropped: dict[str, int]) -> tuple[Any, list[str]]:
    """The world once nothing of it is broken any more, or as it is when the time is over."""
    end = time.monotonic() + SETTLE_SECONDS
    while True:
        with suppress(httpx.HTTPError):
            found = look(environment)
            wrong = broken(found, dropped, ROWS)
            if not wrong or time.monotonic() > end:
                return found, wrong
        time.sleep(3)


def soak(home: Path, given: argparse.Namespace) -> Report:
    """All of it, once."""
    report = Report(given.runs, given.uploads)
    chance, begun = random.Random(given.seed), time.monotonic()
    trained = [ModelName(f"soak-{number:02d}") for number in range(given.models)]
    filled = [ModelName(f"drop-{number:02d}") for number in range(given.upload_models)]
    with soaking(home) as (local, cloud):
        with Chaos(local, given.kill_every, chance) as chaos:
            until = begun + 60 * given.minutes / 2
            with ThreadPoolExecutor(len(trained)) as pool:
                each = -(-given.runs // len(trained))
                ended = list(pool.map(lambda model: run_model(cloud, model, each, until), trained))
            report.runs_ended, report.runs_seconds = sum(done for done, _ in ended), time.monotonic() - begun
            dropping = time.monotonic()
            dropped = drop_uploads(cloud, filled, given.uploads, begun + 60 * given.minutes)
            report.uploads_dropped = sum(dropped.values())
            report.drops_per_second = report.uploads_dropped / (time.monotonic() - dropping)
            wait_for_records(cloud, dropped, begun + 60 * given.minutes)
        wait_for_records(cloud, dropped, time.monotonic() + SETTLE_SECONDS)
        report.uploads_seconds = time.monotonic() - dropping
        report.uploads_per_second = report.uploads_dropped / report.uploads_seconds
        files = dropped | {model: count for model, (_, count) in zip(trained, ended, strict=True)}
        found, report.broken = settled(dict(os.environ), files)
    report.kills, report.kills_after_a_word = dict(chaos.kills), chaos.after_a_word
    report.peak_mebibytes = chaos.peak_bytes / 2**20
    told = (home / "pubsub" / "faults.txt").read_text().split()
    report.duplicates, report.reorderings = told.count("duplicate"), told.count("reordering")
    _measure(report, found)
    return report


def _measure(report: Report, found: Any) -> None:
    ends = {key: data for key, data in found.records.items() if key.startswith("runs/") and key.endswith("/end")}
    report.outcomes = dict(Counter(data["data"]["outcome"] for data in ends.values()))
    report.objects_per_run = growth(found, ("runs/soak", "windows/soak"), sorted(found.keys[key] for key in ends))
    uploads = sorted(created for key, created in found.keys.items() if key.startswith("uploads/drop-"))
    report.objects_per_upload = growth(found, ("uploads/drop-", "contents/drop-", "pending/drop-"), uploads)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/soak"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--upload-models", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kill-every", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    ends_when_told()
    given.home.mkdir(parents=True, exist_ok=True)
    home = given.home / time.strftime("%H%M%S")
    home.mkdir()
    report = soak(home, given)
    told = {**asdict(report), "linear": report.linear, "passed": report.passed}
    (given.home / "report.json").write_text(json.dumps(told, indent=1))
    for name, value in told.items():
        sys.stdout.write(f"{name.replace('_', ' '):22} {value}\n")
    kills = sum(report.kills.values())
    sys.stdout.write(f"soak: {kills} kills survived\n" if report.passed else "soak: NOT passed\n")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
