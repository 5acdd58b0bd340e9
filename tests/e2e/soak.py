"""`make soak`: many runs and many uploads while everything is killed, repeated and put out of order; then the checks.

1  runs      RUNS runs over MODELS models, each begun by a drop and followed to its end
2  uploads   UPLOADS files over UPLOAD_MODELS models, as fast as they can be dropped
throughout   functions die right before and right after every effect that the door names; processes of every kind are
             ended at random, and a few times the whole cloud; services refuse; a fifth of the messages comes again, a
             fifth is overtaken
3  quiet     nothing is done to anything any more: what was begun must end
then         what is kept must hold every rule of soak_checks.py; the report says what was survived and what it cost

No phase begins anything once its share of MINUTES is over: what was not begun is told, and the soak has failed.
"""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from cli.demo.cloud import LocalCloud, local_cloud
from cli.demo.play import ends_when_told
from shared.environment import Cloud
from shared.ids import ModelName
from tests.e2e.soak_chaos import Chaos, Harm
from tests.e2e.soak_checks import Found, broken, look, unfinished
from tests.e2e.soak_function import FOLDER
from tests.e2e.soak_growth import growth
from tests.e2e.soak_people import IMAGE, ROWS, TRAINER, People
from tests.e2e.soak_points import Points
from tests.e2e.soak_report import Report, rollouts_told

FAULTS = "duplicates=0.2,reorderings=0.2,seconds=1"
RUNS_SHARE, DROPS_SHARE, UPLOADS_SHARE = 0.6, 0.88, 0.93
"""Of the time: when the last run may begin, when the last file may be dropped, when the last must have its record."""
GRACE_SECONDS = 120.0
"""How long runs that were begun in time may still take before the uploads begin."""
QUIET_SECONDS = 120.0
"""How long what was begun may take to end, once nothing is done to it any more, if no more of the time is left."""
TELL_SECONDS = 15.0
SAME_SECONDS = 60.0
MOST = 0.95
"""Of the uploads: how fast they are recorded is told of these; the last may have to wait for a sweep."""
TICK_SECONDS = 3.0
"""As a minute is to an hour of training: at each tick reconcile looks at all of the fifty-five models."""


@dataclass(frozen=True)
class Phase:
    """When a phase began and ended: by the clock of the records, and how long it took."""

    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@contextmanager
def soaking(home: Path) -> Iterator[tuple[LocalCloud, Cloud]]:
    """A local cloud that repeats and reorders, whose functions can die where they are told, with the soak's trainer."""
    wanted = {
        "SERIN_PUBSUB_FAULTS": FAULTS,
        "SERIN_FUNCTIONS_RUNNER": "tests.e2e.soak_function",
        FOLDER: str((home / "points").resolve()),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    local = LocalCloud(home, [f"--trainer={IMAGE}={TRAINER}"], TICK_SECONDS)
    try:
        with local_cloud(local) as cloud:
            yield local, cloud
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def timed(people: People, report: Report, name: str, until: float) -> Iterator[None]:
    """A phase: all wait for no longer than until then."""
    begun = time.monotonic()
    people.over.clear()
    timer = threading.Timer(max(0.0, until - begun), people.over.set)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        report.seconds[name] = round(time.monotonic() - begun, 1)


@contextmanager
def telling(people: People, chaos: Chaos, points: Points) -> Iterator[None]:
    """Says every few seconds how far all is."""
    begun, over = time.monotonic(), threading.Event()

    def tell() -> None:
        while not over.wait(TELL_SECONDS):
            hit = sum(times > 0 for times in points.hits.values())
            sys.stdout.write(
                f"{time.monotonic() - begun:5.0f} s  {people.runs_ended} runs ended, {people.dropped.total()} files "
                f"dropped, {points.hits.total()} deaths at {hit} of {len(points.passed)} points, "
                f"{chaos.told.kills.total()} kills\n"
            )
            sys.stdout.flush()

    thread = threading.Thread(target=tell, name="telling")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def settled(environment: dict[str, str], dropped: dict[str, int], until: float) -> tuple[Found, list[str], list[str]]:
    """The world, what is wrong with it and what is unfinished.

    Answers once nothing is, when what is wrong stays so although nothing is under way, or when the time is over.
    """
    known: dict[str, Any] = {}
    before, since = [""], time.monotonic()
    while True:
        with suppress(httpx.HTTPError):
            found = look(environment, known)
            known = dict(found.records)
            wrong, going_on = broken(found, dropped, ROWS), unfinished(found, dropped)
            if [*wrong, *going_on] != before:
                before, since = [*wrong, *going_on], time.monotonic()
                sys.stdout.write(f"at rest?  {len(wrong)} wrong, {len(going_on)} unfinished{_first(before)}\n")
                sys.stdout.flush()
            same = not going_on and time.monotonic() - since > SAME_SECONDS
            if not before or same or time.monotonic() > until:
                return found, wrong, going_on
        time.sleep(3)


def _first(told: list[str]) -> str:
    return f": {told[0]}" if told else ""


def soak(home: Path, given: argparse.Namespace) -> Report:
    """All of it, once."""
    report = Report(given.runs, given.uploads, given.minutes)
    begun, total = time.monotonic(), 60 * given.minutes
    trained = [ModelName(f"soak-{number:02d}") for number in range(given.models)]
    filled = [ModelName(f"drop-{number:02d}") for number in range(given.upload_models)]
    restarts = tuple(total * RUNS_SHARE * (place + 1) / (given.restarts + 1) for place in range(given.restarts))
    harm = Harm(given.kill_every, given.point_every, given.refuse_every, restarts)
    points, marks = Points(home / "points"), [time.time()]
    with soaking(home) as (local, cloud):
        people = People(cloud)
        report.seconds["start"] = round(time.monotonic() - begun, 1)
        with Chaos(local, points, harm, random.Random(given.seed)) as chaos, telling(people, chaos, points):
            last = begun + RUNS_SHARE * total
            with timed(people, report, "runs", last + GRACE_SECONDS):
                people.run_all(trained, given.runs, last)
            marks.append(time.time())
            last = begun + DROPS_SHARE * total
            with timed(people, report, "drops", last + GRACE_SECONDS):
                people.drop_all(filled, given.uploads, last)
            with timed(people, report, "records", begun + UPLOADS_SHARE * total):
                people.wait_for_records(filled)
            marks.append(time.time())
        with timed(people, report, "quiet", max(begun + total, time.monotonic() + QUIET_SECONDS)):
            until = max(begun + total, time.monotonic() + QUIET_SECONDS)
            found, report.broken, report.unfinished = settled(dict(os.environ), dict(people.dropped), until)
    _told(report, people, chaos, points, home)
    _measured(report, found, points, [Phase(*each) for each in pairwise(marks)])
    return report


def _told(report: Report, people: People, chaos: Chaos, points: Points, home: Path) -> None:
    told, faults = chaos.told, (home / "pubsub" / "faults.txt").read_text().split()
    report.runs_ended = people.runs_ended
    report.uploads_dropped = sum(count for model, count in people.dropped.items() if model.startswith("drop-"))
    report.kills, report.restarts, report.refusals = dict(told.kills), told.restarts, told.refusals
    report.trouble = told.trouble
    report.duplicates, report.reorderings = faults.count("duplicate"), faults.count("reordering")
    report.memory, report.memory_peak_by_kind = told.memory, told.memory_peak
    report.memory_peak_mebibytes = max((size for _, size in told.memory), default=0.0)
    report.processor_seconds = told.processor_seconds()
    report.take_points(points)


def _measured(report: Report, found: Found, points: Points, phases: list[Phase]) -> None:
    """Outcomes, throughput and growth, as the records and the functions' own lists tell them."""
    ends = {key: data for key, data in found.records.items() if key.startswith("runs/") and key.endswith("/end")}
    report.outcomes = dict(Counter(data["data"]["outcome"] for data in ends.values()))
    report.rollouts = rollouts_told(found.records)
    uploads = [key for key in found.keys if key.startswith("uploads/drop-")]
    report.uploads_recorded = len(uploads)
    runs_phase, uploads_phase = phases
    report.runs_per_minute = round(60 * report.runs_ended / runs_phase.seconds, 2)
    report.drops_per_second = round(report.uploads_dropped / max(0.1, report.seconds["drops"]), 1)
    work = [each for each in points.effects if each.function != "reconcile"]
    intake = [each for each in points.effects if each.function in ("check_rows", "notify")]  # an upload and its notice
    ticks = [each for each in points.effects if each.function == "reconcile"]
    looks = [each.at for each in ticks if each.name == "vertex.list_jobs"]  # each look of reconcile begins with one

    def within(times: list[float], phase: Phase) -> list[float]:
        return [at for at in times if phase.begun < at <= phase.ended]

    recorded = within([_time(found, key) for key in uploads], uploads_phase)
    most = sorted(recorded)[: round(len(recorded) * MOST)]
    report.uploads_per_second = round(len(most) / max(0.1, max(most, default=0.0) - uploads_phase.begun), 1)
    ended = within([_time(found, key) for key in ends if key.startswith("runs/soak-")], runs_phase)
    report.growths = [
        growth("operations per run", work, runs_phase.begun, ended),
        growth("operations per upload", intake, uploads_phase.begun, recorded),
        # Shown and not judged: a tick costs what is open then, and what a sweep finds to be announced again.
        growth("operations per tick during the runs", ticks, runs_phase.begun, within(looks, runs_phase), False),
        growth(
            "operations per tick during the uploads", ticks, uploads_phase.begun, within(looks, uploads_phase), False
        ),
    ]


def _time(found: Found, key: str) -> float:
    return datetime.fromisoformat(found.keys[key]).timestamp()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/soak"))
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--uploads", type=int, default=10_000)
    parser.add_argument("--upload-models", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--kill-every", type=float, default=12.0, metavar="SECONDS", help="a process at random")
    parser.add_argument("--point-every", type=float, default=4.0, metavar="SECONDS", help="each function, at least")
    parser.add_argument("--refuse-every", type=float, default=4.0, metavar="SECONDS", help="a request of a service")
    parser.add_argument("--restarts", type=int, default=3, help="of the whole cloud")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    ends_when_told()
    home = given.home / time.strftime("%H%M%S")
    home.mkdir(parents=True)
    report = soak(home, given)
    report.write(given.home)
    sys.stdout.write("".join(f"{line}\n" for line in report.lines()))
    for failure in report.failures():
        sys.stdout.write(f"NOT passed: {failure}\n")
    sys.stdout.write(f"soak: {'NOT passed' if report.failures() else 'passed'}; {given.home / 'report.html'}\n")
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
