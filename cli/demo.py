"""`make demo`: the whole chain on one machine, on real data, told act by act and checked act by act."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cli.connection import say
from cli.demo_story import THRESHOLD_ROWS, Act, Story, cut
from cli.demo_timeline import Timeline, listening
from cli.demo_traffic import Clients, clients
from shared.envelope import Envelope
from shared.environment import Cloud, GoogleCloud, read_environment
from shared.errors import SerinError
from shared.events import (
    DeploymentApproved,
    DeploymentRejected,
    Event,
    ModelPromoted,
    Notification,
    RollbackRequested,
    RolledBack,
    TrafficShifted,
    TrainingRequested,
)
from shared.ids import ModelName
from shared.ledger import Author, Ledger
from shared.rollouts import last_rollout, newest, production_endpoint
from shared.settings import object_name

MODEL = ModelName("digits")
SETTINGS = Path(__file__).with_name("demo_settings.toml")
ACTS = 7
_READY_SECONDS = 30.0


class OtherwiseEndedError(SerinError):
    """An act that did not end as told."""


@dataclass
class Stage:
    """Where the acts are played."""

    cloud: Cloud
    timeline: Timeline
    story: Story
    console: Console
    crowd: Clients | None = None

    def drop(self, act: Act) -> int:
        """Drops the act's files; answers the mark from which to listen."""
        mark = self.timeline.mark()
        for file in act.files:
            self.cloud.data.create(f"data/{MODEL}/{file.name}", file.content)
        return mark

    def expect(self, mark: int, kind: type[Event], what: str, seconds: float, **fields: object) -> Envelope:
        """The first event of a kind with these fields after the mark; ends the act when it does not come."""

        def wanted(envelope: Envelope) -> bool:
            payload = envelope.payload
            return isinstance(payload, kind) and all(getattr(payload, name) == value for name, value in fields.items())

        with self.console.status(f"waiting for {what}"):
            found = self.timeline.wait(mark, wanted, seconds)
        if found is None:
            raise OtherwiseEndedError(f"{what} did not come within {seconds:.0f} s")
        return found

    def notice(self, mark: int, words: str, seconds: float) -> Notification:
        """The first notice after the mark whose title holds these words."""

        def wanted(envelope: Envelope) -> bool:
            return isinstance(envelope.payload, Notification) and words in envelope.payload.title

        with self.console.status(f"waiting for the notice “{words}”"):
            found = self.timeline.wait(mark, wanted, seconds)
        if found is None:
            raise OtherwiseEndedError(f"the notice “{words}” did not come within {seconds:.0f} s")
        assert isinstance(found.payload, Notification)
        return found.payload

    def ledger(self) -> Ledger:
        return Ledger(self.cloud.state, Author("demo", None, None, self.cloud.now, self.cloud.token))

    def check(self, truth: bool, otherwise: str) -> None:
        if not truth:
            raise OtherwiseEndedError(otherwise)


def act_1(stage: Stage, act: Act) -> str:
    stage.cloud.data.create(object_name(MODEL), SETTINGS.read_bytes())
    mark = stage.drop(act)
    rows = act.files[0].rows
    stage.notice(mark, f"{rows} of {THRESHOLD_ROWS} rows wait", 20)
    stage.check(
        not any(isinstance(event.payload, TrainingRequested) for event in stage.timeline.since(mark)), "trained"
    )
    return f"{rows} of {THRESHOLD_ROWS} rows wait, nothing trains"


def act_2(stage: Stage, act: Act) -> str:
    mark = stage.drop(act)
    approved = stage.expect(mark, DeploymentApproved, "a score that deploys", 60)
    stage.expect(mark, ModelPromoted, "the first model, live", 60)
    assert isinstance(approved.payload, DeploymentApproved)
    return f"first model, score {approved.payload.score}, live at 100 %"


def act_3(stage: Stage, act: Act) -> str:
    stage.crowd = clients(stage.cloud, MODEL, stage.story.traffic)
    stage.crowd.start()
    mark = stage.drop(act)
    approved = stage.expect(mark, DeploymentApproved, "a score that deploys", 60)
    for percent in (5, 25, 50, 100):
        stage.expect(mark, TrafficShifted, f"{percent} % for the canary", 60, percent=percent)
    assert isinstance(approved.payload, DeploymentApproved)
    stage.check(approved.payload.score >= 70, f"the score is {approved.payload.score}")
    return f"better model, score {approved.payload.score}, canary 5 → 25 → 50 → 100 %"


def act_4(stage: Stage, _act: Act) -> str:
    mark, begun = stage.timeline.mark(), time.monotonic()
    rollout = last_rollout(stage.ledger(), MODEL)
    order = RollbackRequested(model=MODEL, rollout=rollout, by="demo", because="the demo asks for it")
    say(stage.cloud, order, f"demo-rollback-{rollout}")
    left = stage.expect(mark, RolledBack, "the rollback", 30, rollout=rollout)
    assert isinstance(left.payload, RolledBack)
    stage.check(left.payload.by == "demo", f"the timeline says {left.payload.by} asked")
    stage.check(_serving(stage) == {newest_base(stage): 100}, f"the split is {_serving(stage)}")
    return f"previous version back at 100 % in {time.monotonic() - begun:.1f} s, asked for by demo"


def act_5(stage: Stage, act: Act) -> str:
    mark = stage.drop(act)
    notice = stage.notice(mark, "was rejected", 20)
    codes = {reason.split(":")[0] for reason in notice.why}
    stage.check(
        {"missing-column", "wrong-width", "not-a-number", "missing-target"} <= codes, f"the reasons are {codes}"
    )
    stage.check(
        not any(isinstance(event.payload, TrainingRequested) for event in stage.timeline.since(mark)), "trained"
    )
    return f"rejected with {len(notice.why)} reasons, nothing else happened"


def act_6(stage: Stage, act: Act) -> str:
    mark = stage.drop(act)
    stage.notice(mark, f"{act.files[0].rows} of {THRESHOLD_ROWS} rows wait", 20)
    wish = TrainingRequested(model=MODEL, reason="person", request="act-6", by="demo", because="fifty rows will do")
    say(stage.cloud, wish, "demo-train-act-6")
    rejected = stage.expect(mark, DeploymentRejected, "the rejection", 60)
    assert isinstance(rejected.payload, DeploymentRejected)
    stage.check(rejected.payload.set_aside, "the window was not set aside")
    return f"score {rejected.payload.score}, rejected, its rows set aside"


def act_7(stage: Stage, act: Act) -> str:
    third = newest(stage.ledger(), MODEL)
    mark = stage.drop(act)
    stage.expect(mark, DeploymentApproved, "a score that deploys", 90)
    stage.expect(mark, TrafficShifted, "5 % for the canary", 60, percent=5)
    left = stage.expect(mark, RolledBack, "the automatic rollback", 90)
    assert isinstance(left.payload, RolledBack)
    stage.check(left.payload.set_aside, "the window was not set aside")
    wrong = left.payload.numbers.get("canary_wrong")
    before = stage.cloud.state.entries("")
    replayed = _replay(third.candidate.run if third else "")
    stage.check(replayed > 0, "there was nothing to replay")
    time.sleep(3)  # the replayed events' own settling cannot be waited for: nothing is to come of them
    after = [entry.key for entry in stage.cloud.state.entries("") if _lasting(entry.key)]
    stage.check(after == [entry.key for entry in before if _lasting(entry.key)], "the replay changed the ledger")
    return f"rolled back on {wrong} wrong answers; {replayed} replayed events changed nothing"


def _lasting(key: str) -> bool:
    """Whether a record says what happened, and not that somebody looked or reported."""
    return key.split("/")[0] in {"contents", "windows", "pending", "runs", "uploads"} or key.endswith(
        ("/verdict", "/end")
    )


def _replay(run: str) -> int:
    asked = subprocess.run(
        [sys.executable, "-m", "cli", "replay", run, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=_variables(),
    )
    return asked.stdout.count('"id"') if asked.returncode == 0 else 0


def newest_base(stage: Stage) -> str:
    """The deployed model that the newest rollout had as its base."""
    rollout = newest(stage.ledger(), MODEL)
    return rollout.base.id if rollout and rollout.base else ""


def _serving(stage: Stage) -> dict[str, int]:
    endpoint = stage.cloud.vertex.endpoint(production_endpoint(MODEL))
    return {key: share for key, share in endpoint.split.items() if share} if endpoint else {}


def _variables() -> dict[str, str]:
    return dict(os.environ)


PLAY: tuple[Callable[[Stage, Act], str], ...] = (act_1, act_2, act_3, act_4, act_5, act_6, act_7)


def play(home: Path, seed: int, acts: int, console: Console) -> int:
    """Plays the first acts of the story in a fresh home; answers 0 if each ended as told, else 1."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    begun, as_told = time.monotonic(), 0
    with _local_cloud(home, console) as cloud:
        timeline = Timeline(console, home / "timeline.jsonl")
        stage = Stage(cloud, timeline, cut(seed), console)
        with listening(cloud, timeline):
            for act, played in zip(stage.story.acts[:acts], PLAY, strict=False):
                as_told += _play_one(stage, act, played)
        if stage.crowd:
            stage.crowd.stop()
    console.print(f"{time.monotonic() - begun:.0f} s; ledger, buckets and timeline are in {home}", highlight=False)
    console.print(f"demo: {as_told} of {acts} acts ended as told", highlight=False)
    return 0 if as_told == acts else 1


def _play_one(stage: Stage, act: Act, played: Callable[[Stage, Act], str]) -> bool:
    stage.console.rule(f"act {act.number}: {act.title}")
    begun = time.monotonic()
    try:
        ended = played(stage, act)
    except SerinError as error:
        stage.console.print(f"[red]act {act.number} ended otherwise:[/] {error}")
        return False
    stage.console.print(f"[green]act {act.number} ended as told[/] ({time.monotonic() - begun:.1f} s): {ended}")
    return True


@contextmanager
def _local_cloud(home: Path, console: Console) -> Iterator[Cloud]:
    command = [sys.executable, "-m", "local", "--home", str(home), "--tick-seconds", "1", "--ports", "0"]
    with (home / "cloud.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            with console.status("the local cloud is starting"):
                variables = _environment(home, process)
            os.environ.update(variables)
            yield GoogleCloud(read_environment(variables))
        finally:
            process.terminate()
            process.wait(timeout=20)


def _environment(home: Path, process: "subprocess.Popen[bytes]") -> dict[str, str]:
    """What the supervisor wrote once everything was ready."""
    end = time.monotonic() + _READY_SECONDS
    path = home / "environment"
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise OtherwiseEndedError(f"the local cloud did not start: see {home / 'cloud.log'}")
        time.sleep(0.05)
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
