"""The demo itself, on the wire: every service and function a process of its own, spoken to by Google's clients."""

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from cli.demo.cloud import LocalCloud
from cli.demo.play import played, staged
from shared.store import Store
from tests.e2e.killing import EVERYBODY, kind_of, rounds
from tests.e2e.kills import PATIENCE, one_play
from tests.e2e.searching import files, found, objects, receipt_keys

# So often its rows make a file too large to be scored in the function: a batch prediction job starts a container.
COPIES = 150 if os.environ.get("SERIN_SCORED_BY") == "job" else 1
SLICE = ("training job", "launch_training", "storage", "serving container", "local cloud")
pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("default")]  # the clients' own threads warn


def quiet() -> Console:
    return Console(file=io.StringIO(), width=150)


def test_acts_1_to_4_end_as_told(tmp_path: Path) -> None:
    console = quiet()
    with staged(LocalCloud(tmp_path / "home"), 1, console) as stage:
        stage.patience = PATIENCE
        assert played(stage, 4) == [True] * 4, told(console)
        header, *rows = stage.story.acts[1].files[0].content.splitlines(keepends=True)
        rows *= COPIES
        mark = stage.timeline.mark()
        stage.put("score/digits/march.csv", b"".join([header, *rows]))
        notice = stage.notice(mark, f"{len(rows)} of {len(rows)} rows of 'march.csv' are scored", 60)
        assert (notice.run, scored(stage.cloud.artefacts)) == ("digits-000001", len(rows))
        keys = receipt_keys(stage.cloud.state)
        assert found(keys, objects((stage.cloud.state, stage.cloud.artefacts))) == []
    assert found(keys, files(tmp_path / "home")) == []
    assert told(console).count("ended as told") == 4


@pytest.mark.skipif("SERIN_CLOUD_RUN" not in os.environ, reason="a minute more; `make cloud-run` runs it")
def test_acts_1_to_4_end_as_told_with_a_model_on_cloud_run(tmp_path: Path) -> None:
    console = quiet()
    with staged(LocalCloud(tmp_path / "home"), 1, console, "cloud_run") as stage:
        stage.patience = PATIENCE
        assert played(stage, 4) == [True] * 4, told(console)


def test_act_2_ends_as_told_although_processes_are_ended_without_warning(tmp_path: Path) -> None:
    console = quiet()
    harms = one_play(tmp_path / "home", 1, {2: SLICE}, console, acts=2)
    assert [(harm.as_told, harm.trouble) for harm in harms] == [(True, "")] * 2, told(console)
    assert {kill.who for kill in harms[1].kills} >= {"training job", "launch_training", "storage"}


def scored(store: Store) -> int:
    """How many rows have results, each with a label, its probability and an anomaly score."""
    places = [entry.key for entry in store.entries("scored/") if "/results-" in entry.key]
    lines = [json.loads(line) for place in places for line in (store.read(place) or b"").splitlines()]
    return sum({"row", "label", "probability", "anomaly_score"} <= set(line) for line in lines)


def told(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_rounds_end_everybody_in_every_act() -> None:
    acts = range(2, 8)
    pairs = [(act, who) for plan in rounds(EVERYBODY, acts, 3) for act, named in plan.items() for who in named]
    assert sorted(pairs) == sorted((act, who) for act in acts for who in EVERYBODY)


def test_a_process_is_known_by_its_command_line() -> None:
    python = "/usr/bin/python3"
    commands = {
        "local cloud": [python, "-m", "local", "--home", "h"],
        "pubsub": [python, "-m", "local.pubsub", "--port", "1"],
        "training job": [python, "-m", "training_image"],
        "roll_back": [
            python, "-m", "functions_framework", "--source", "main.py", "--target", "roll_back", "--host", "h",
            "--port", "1",
        ],
        "": [python, "-m", "pytest"],
    }  # fmt: skip
    assert {kind_of(command): command for command in commands.values()} == commands
