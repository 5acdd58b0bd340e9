"""The seven acts: what each does, what it waits for, and what it says when it ended as told."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.demo.stage import MODEL, Stage
from cli.demo.story import THRESHOLD_ROWS, Act
from cli.demo.traffic import clients
from shared.events import (
    DeploymentApproved,
    DeploymentRejected,
    ModelPromoted,
    RollbackRequested,
    RolledBack,
    TrafficShifted,
    TrainingRequested,
)
from shared.rollouts import last_rollout, newest, production_endpoint
from shared.settings import Backend, object_name

SETTINGS = Path(__file__).with_name("settings.toml")


def on(settings: str, backend: Backend) -> str:
    """The same settings for a model that is trained and served on a backend."""
    for section in ("[training]\n", "[serving]\n"):
        settings = settings.replace(section, f'{section}backend = "{backend}"\n')
    return settings


def act_1(stage: Stage, act: Act) -> str:
    stage.put(object_name(MODEL), on(SETTINGS.read_text(), stage.backend).encode())
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
    stage.crowd = clients(stage.cloud, stage.serving, MODEL, stage.story.traffic)
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
    rollout = stage.persistently(lambda: last_rollout(stage.ledger(), MODEL))
    order = RollbackRequested(model=MODEL, rollout=rollout, by="demo", because="the demo asks for it")
    stage.say(order, f"demo-rollback-{rollout}")
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
    stage.say(wish, "demo-train-act-6")
    rejected = stage.expect(mark, DeploymentRejected, "the rejection", 60)
    assert isinstance(rejected.payload, DeploymentRejected)
    stage.check(rejected.payload.set_aside, "the window was not set aside")
    return f"score {rejected.payload.score}, rejected, its rows set aside"


def act_7(stage: Stage, act: Act) -> str:
    third = stage.persistently(lambda: newest(stage.ledger(), MODEL))
    mark = stage.drop(act)
    stage.expect(mark, DeploymentApproved, "a score that deploys", 90)
    stage.expect(mark, TrafficShifted, "5 % for the canary", 60, percent=5)
    left = stage.expect(mark, RolledBack, "the automatic rollback", 90)
    assert isinstance(left.payload, RolledBack)
    stage.check(left.payload.set_aside, "the window was not set aside")
    wrong = left.payload.numbers.get("canary_wrong")
    before = stage.persistently(lambda: stage.cloud.state.entries(""))
    replayed = _replay(third.candidate.run if third else "")
    stage.check(replayed > 0, "there was nothing to replay")
    time.sleep(3)  # the replayed events' own settling cannot be waited for: nothing is to come of them
    now = stage.persistently(lambda: stage.cloud.state.entries(""))
    after = [entry.key for entry in now if _lasting(entry.key)]
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
    rollout = stage.persistently(lambda: newest(stage.ledger(), MODEL))
    return rollout.base.id if rollout and rollout.base else ""


def _serving(stage: Stage) -> dict[str, int]:
    endpoint = stage.persistently(lambda: stage.serving.endpoint(production_endpoint(MODEL)))
    return {key: share for key, share in endpoint.split.items() if share} if endpoint else {}


def _variables() -> dict[str, str]:
    return dict(os.environ)


PLAY: tuple[Callable[[Stage, Act], str], ...] = (act_1, act_2, act_3, act_4, act_5, act_6, act_7)
