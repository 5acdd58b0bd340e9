"""The history of a model's traffic, and the canary as it is shown, from the ledger's own records."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.history import at, history, moment_of
from cli.main import app
from cli.watching import frame, look, watch
from shared.environment import Cloud
from shared.errors import BadInput
from shared.ids import ModelName
from shared.ledger import Author, Ledger, Outcome, rollout_key
from tests.functions.monitor_canary.evidence_world import Canary
from tests.world.cloud import START, MemoryCloud

pytestmark = pytest.mark.filterwarnings("default")  # Google's clients warn when their threads end with the process
MODEL = ModelName("digits")
VERDICT = {"decision": "rollback", "by": "ada@example.org", "because": "customers complain"}


class Rollouts:
    """A ledger in which rollouts are written down second by second."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self.cloud = cloud
        self.ledger = self._by("test")

    def _by(self, name: str) -> Ledger:
        return Ledger(self.cloud.state, Author(name, None, None, self.cloud.now, self.cloud.token))

    def put(self, number: int, name: str, data: dict[str, Any], by: str = "test") -> None:
        self.cloud.pass_time(10)
        self._by(by).record(rollout_key(MODEL, number, name), Outcome(data))

    def open(self, number: int, base: int | None, **more: Any) -> None:
        arms = [{"id": str(n), "version": f"m@{n}", "run": f"digits-{n:06d}", "artefacts": "gs://a"} if n else None
                for n in (number, base)]  # fmt: skip
        self.put(number, "opened", {"candidate": arms[0], "base": arms[1], "steps": [5, 100], **more})

    def step(self, number: int, step: int, split: dict[str, int], by: str, reasons: list[str] | None = None) -> None:
        percent = split[str(number)]
        self.put(number, f"steps/{step:06d}", {"percent": percent, **({"reasons": reasons} if reasons else {})}, by)
        self.put(number, f"shifted/{step:06d}", {"percent": percent, "split": split}, "shift_traffic")


@pytest.fixture
def rollouts() -> Rollouts:
    """The first model, a canary that a person rolls back, one that is promoted, and a way back from that."""
    made = Rollouts(MemoryCloud())
    made.open(1, None)
    made.step(1, 1, {"1": 100}, "deploy_canary")
    made.open(2, 1)
    made.step(2, 1, {"2": 5, "1": 95}, "deploy_canary")
    made.put(2, "verdict", VERDICT)
    made.put(2, "end", {**VERDICT, "outcome": "rolled back"})
    made.open(3, 1)
    made.step(3, 1, {"3": 5, "1": 95}, "deploy_canary")
    made.step(3, 2, {"3": 100}, "monitor_canary", ["wrong: nothing worse"])
    made.open(4, 3, returns=3, by="bob@example.org", because="the invoice is wrong")
    made.step(4, 1, {"4": 100}, "roll_back")
    return made


def test_every_change_of_the_traffic_is_told_with_its_reason_and_its_author(rollouts: Rollouts) -> None:
    found = history(rollouts.ledger, MODEL)
    assert [(each.rollout, each.split, each.by) for each in found] == [
        (1, {"1": 100}, "deploy_canary"),
        (2, {"2": 5, "1": 95}, "deploy_canary"),
        (2, {"1": 100}, "ada@example.org"),
        (3, {"3": 5, "1": 95}, "deploy_canary"),
        (3, {"3": 100}, "monitor_canary"),
        (4, {"4": 100}, "bob@example.org"),
    ]
    assert [each.why[0] for each in found][2:] == [
        "customers complain", "its first step", "wrong: nothing worse", "the invoice is wrong",
    ]  # fmt: skip
    assert all(sum(each.split.values()) == 100 for each in found)


def test_every_moment_since_the_first_model_lies_in_exactly_one_stretch(rollouts: Rollouts) -> None:
    found = history(rollouts.ledger, MODEL)
    seconds = int((rollouts.cloud.now() - START).total_seconds())
    moments = [START + timedelta(seconds=second) for second in range(0, seconds + 30, 5)]
    counts = [len(at(found, moment)) for moment in moments]
    assert counts == [0 if moment < found[0].since else 1 for moment in moments]
    assert at(found, found[2].since) == [found[2]]


def test_a_time_that_is_none_is_refused() -> None:
    assert moment_of("2026-01-01T12:00:00+00:00") == START + timedelta(hours=12)
    with pytest.raises(BadInput):
        moment_of("yesterday")


def shown(canary: Canary) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(frame(*look(ledger_of(canary), MODEL)))
    return console.export_text()


def ledger_of(canary: Canary) -> Ledger:
    return Ledger(canary.cloud.state, Author("test", None, None, canary.cloud.now, canary.cloud.token))


def test_a_canary_is_shown_with_both_arms_and_each_e_value_against_its_bound() -> None:
    canary = Canary()
    dark = shown(canary)
    assert "digits, rollout 2: version 2 against version 1" in dark
    for second in range(12):
        canary.second(second)
    told = shown(canary)
    assert "5 % of the traffic; steps 5, 100" in told
    assert "verdict: go on" in told
    assert "wrong" in told and "of 400" in told and "of 20" in told
    assert "18 of 360 = 5.00 %" in told
    assert "this step: 9 s, 18 requests" in told


def test_a_baking_candidate_is_shown_beside_the_record() -> None:
    canary = Canary()
    for second in range(30):
        canary.second(second)
    canary.shift(2, 100)
    for second in range(30, 36):
        canary.second(second)
    told = shown(canary)
    assert "record: 5.00 %" in told
    assert "there is no concurrent control" in told


def test_watching_ends_with_the_rollout() -> None:
    canary = Canary()
    canary.record("rollouts/digits/000002/verdict", VERDICT)
    canary.record("rollouts/digits/000002/end", {**VERDICT, "outcome": "rolled back"})
    console = Console(width=200, record=True, file=io.StringIO())
    watch(ledger_of(canary), MODEL, console, 0.0)
    assert "rolled back, by ada@example.org: customers complain" in console.export_text()


def test_a_model_without_a_rollout_cannot_be_watched() -> None:
    with pytest.raises(BadInput):
        look(ledger_of(Canary()), ModelName("nobody"))


def test_both_are_commands(home: Path, cloud: Cloud) -> None:
    ledger = Ledger(cloud.state, Author("deploy_canary", None, None, cloud.now, cloud.token))
    arm = {"id": "1", "version": "m@1", "run": "trees-000001", "artefacts": "gs://a"}
    for name, data in (
        ("opened", {"candidate": arm, "base": None, "steps": [100]}),
        ("steps/000001", {"percent": 100}),
        ("shifted/000001", {"percent": 100, "split": {"1": 100}}),
    ):
        ledger.record(rollout_key(ModelName("trees"), 1, name), Outcome(data))
    (line,) = json.loads(_serin(home, "history", "trees", "--json"))
    assert (line["split"], line["by"], line["until"]) == ({"1": 100}, "deploy_canary", None)
    assert "100 %" in _serin(home, "history", "trees", "--at", cloud.now().isoformat())
    assert json.loads(_serin(home, "history", "trees", "--at", "2020-01-01T00:00:00+00:00", "--json")) == []
    assert "rollout 1: version 1 with nothing before it" in _serin(home, "watch", "trees", "--once")


def _serin(home: Path, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == 0, result.output
    return str(result.output)
