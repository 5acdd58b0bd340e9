"""The command as a person types it, against a real local storage and Pub/Sub."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from shared.environment import Cloud
from shared.events import ApprovalRequested, DeploymentApproved, Notification
from shared.ids import ModelName, RunId, UploadId
from shared.ledger import Author, Ledger, Outcome, run_key, upload_key, window_key
from shared.uploading import AGAIN
from shared.windows import Upload, carry
from tests.functions.standing_run import event

pytestmark = pytest.mark.filterwarnings("default")  # Google's clients warn when their threads end with the process
MODEL, RUN = ModelName("flowers"), RunId("flowers-000001")
PLACE = f"{MODEL}/{RUN}/1/model/"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def run_of_flowers(cloud: Cloud) -> None:
    """One run that asks a person, rows that wait for the next, one rejected file."""
    ledger = Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))
    ledger.record("settings/flowers/00000000000000000001", Outcome({"valid": True}))
    first = Upload(UploadId("3" * 20), cloud.data.bucket, "data/flowers/a.csv", 1, "1" * 64, 120)
    data = {"run": RUN, "rows": 120, "uploads": [first.to_json()], "request": {"reason": "threshold"}}
    data["settings"] = {"data": {"target": "species"}}
    ledger.record(window_key(MODEL, 1), Outcome(data, (Notification(model=MODEL, run=RUN, title="training"),)))
    ledger.record(run_key(RUN, "job-1"), Outcome({"job": "projects/p/locations/l/customJobs/1", "attempt": 1}))
    asked = ApprovalRequested(
        model=MODEL, run=RUN, artefacts="gs://x/", digest="d", score=61, reasons=("close",), expires=cloud.now()
    )
    decision = {"verdict": "ask", "card": {"total": 61}, "artefacts": f"gs://{cloud.artefacts.bucket}/{PLACE}"}
    ledger.record(run_key(RUN, "decision"), Outcome(decision, (asked,)))
    cloud.artefacts.create(f"{PLACE}model.onnx", b"the model")
    upload = Upload(UploadId("1" * 20), cloud.data.bucket, "data/flowers/b.csv", 1, "0" * 64, 30)
    carry(ledger, MODEL, upload, 2)
    verdict = {"name": "data/flowers/bad.csv", "verdict": "rejected", "rows": 0, "window": None, "reasons": ["empty"]}
    ledger.record(upload_key(MODEL, "2" * 20), Outcome(verdict))
    accepted = {"name": "data/flowers/a.csv", "verdict": "accepted", "rows": 121, "accepted": 120, "quarantined": 1}
    ledger.record(upload_key(MODEL, first.id), Outcome({**accepted, "window": 1, "reasons": ["wrong-width: a row"]}))
    skipped = {"name": "data/flowers/[red]\x1b[2J/_SUCCESS", "verdict": "skipped", "rows": 0, "reasons": ["not-rows"]}
    ledger.record(upload_key(MODEL, "4" * 20), Outcome(skipped))
    cloud.data.create("data/flowers/waiting.csv", b"a,species\n1,rose\n")


def serin(home: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)])
    assert result.exit_code == status, result.output
    return str(result.output)


def told(home: Path, *words: str) -> Any:
    return json.loads(serin(home, *words, "--json"))


@contextmanager
def heard(cloud: Cloud, topic: str) -> Iterator[list[Any]]:
    """What a topic carries while the block runs."""
    from google.cloud import pubsub_v1

    project, found = cloud.environment.project, list[Any]()
    name = f"projects/{project}/subscriptions/test.{topic}.{cloud.token()}"
    with pubsub_v1.SubscriberClient() as client:
        client.create_subscription(name=name, topic=f"projects/{project}/topics/{topic}")
        yield found
        for received in client.pull(subscription=name, max_messages=100).received_messages:
            found.append((dict(received.message.attributes), json.loads(received.message.data)))


def test_uploads_say_what_became_of_each_file(home: Path) -> None:
    lines = {line["name"].rsplit("/", 1)[-1]: line for line in told(home, "uploads", "flowers")}
    bad, good = lines["bad.csv"], lines["a.csv"]
    assert (bad["verdict"], bad["rows"], bad["run"], bad["reasons"]) == ("rejected", 0, None, ["empty"])
    assert (good["verdict"], good["accepted"], good["quarantined"], good["run"]) == ("accepted", 120, 1, RUN)
    assert (lines["_SUCCESS"]["verdict"], lines["waiting.csv"]["verdict"]) == ("skipped", "not judged yet")


def test_names_from_outside_do_not_steer_the_terminal(home: Path) -> None:
    shown = serin(home, "uploads", "flowers")
    assert "\x1b" not in shown
    assert "[red]" in shown.replace("\n", "")


def test_runs_and_status_say_where_things_stand(home: Path) -> None:
    (run,) = told(home, "runs")
    assert (run["run"], run["rows"], run["score"], run["state"]) == (RUN, 120, 61, "under way")
    (model,) = told(home, "status")
    assert (model["model"], model["waiting_rows"], model["last_run"]) == ("flowers", 30, RUN)
    assert told(home, "runs", "--model", "flowers") == [run]


def test_show_tells_every_record_in_order(home: Path) -> None:
    keys = [record["key"] for record in told(home, "show", RUN)]
    assert keys[0] == "windows/flowers/000001"
    assert keys[1:] == ["runs/flowers/000001/job-1", "runs/flowers/000001/decision"]
    told_all = serin(home, "show", RUN)
    assert "approval-requested" in told_all
    assert "the run so far: $" in told_all


def test_artefacts_are_downloaded(home: Path, tmp_path: Path) -> None:
    serin(home, "artefacts", RUN, "--to", str(tmp_path / "got"))
    assert (tmp_path / "got" / "model.onnx").read_bytes() == b"the model"


def test_drop_uploads_the_settings_first_and_the_files_whole(home: Path, cloud: Cloud, tmp_path: Path) -> None:
    rows, settings = tmp_path / "rows.csv", tmp_path / "flowers.toml"
    rows.write_bytes(b"a,species\n1,rose\n")
    settings.write_text('[data]\ntarget = "species"\n')
    serin(home, "drop", str(rows), "--model", "flowers", "--settings", str(settings))
    assert cloud.data.read("data/flowers/rows.csv") == rows.read_bytes()
    made = [cloud.data.stat(name) for name in ("settings/flowers.toml", "data/flowers/rows.csv")]
    assert made[0] is not None and made[1] is not None
    assert made[0].created < made[1].created


def test_a_file_dropped_again_says_who_asked_for_it(home: Path, cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "again.csv").write_bytes(b"a,species\n1,rose\n")
    serin(home, "drop", str(tmp_path / "again.csv"), "--model", "flowers", "--again", "--by", "ann")
    dropped = cloud.data.stat("data/flowers/again.csv")
    assert dropped is not None
    assert dropped.metadata == {AGAIN: "ann"}


@pytest.mark.parametrize(("command", "answer"), [("approve", "approve"), ("reject", "reject")])
def test_an_answer_is_published_with_name_and_reason(home: Path, cloud: Cloud, command: str, answer: str) -> None:
    with heard(cloud, "approval-answered") as events:
        serin(home, command, RUN, "--because", "it looks right", "--by", "ada@example.org")
    ((attributes, data),) = events
    assert (data["answer"], data["by"], data["because"]) == (answer, "ada@example.org", "it looks right")
    assert (attributes["ce-run"], attributes["ce-model"]) == (RUN, "flowers")
    assert attributes["ce-traceparent"].startswith("00-")


def test_train_publishes_a_persons_request(home: Path, cloud: Cloud) -> None:
    with heard(cloud, "training-requested") as events:
        serin(home, "train", "flowers", "--by", "ada", "--because", "new labels")
    ((_, data),) = events
    assert (data["reason"], data["by"], data["because"]) == ("person", "ada", "new labels")
    assert data["request"]


def test_rollback_names_the_newest_rollout(home: Path, cloud: Cloud) -> None:
    ledger = Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))
    ledger.record("rollouts/roses/000007/opened", Outcome({}))
    with heard(cloud, "rollback-requested") as events:
        serin(home, "rollback", "roses", "--because", "thorns", "--set-aside")
    ((_, data),) = events
    assert (data["rollout"], data["because"], data["set_aside"]) == (7, "thorns", True)


def test_replay_says_a_runs_events_again_as_they_were(home: Path, cloud: Cloud) -> None:
    with heard(cloud, "approval-requested") as events:
        listed = told(home, "replay", RUN, "--dry-run")
    assert [line["topic"] for line in listed] == ["notifications", "approval-requested"]
    with heard(cloud, "approval-requested") as events:
        serin(home, "replay", RUN)
    assert [attributes["ce-id"] for attributes, _ in events] == ["runs/flowers/000001/decision#0"]


def test_replay_says_the_events_of_a_file(home: Path, cloud: Cloud, tmp_path: Path) -> None:
    kept = event("deployment-approved")
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(kept.to_json()) + "\n")
    with heard(cloud, "deployment-approved") as events:
        serin(home, "replay", "--file", str(file))
    ((attributes, data),) = events
    assert attributes["ce-id"] == kept.id
    assert DeploymentApproved.model_validate(data) == kept.payload


def test_tail_prints_what_comes_until_it_is_stopped(home: Path, cloud: Cloud) -> None:
    command = [sys.executable, "-u", "-m", "cli", "tail", "notifications", "--json", "--home", str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "listening" in process.stderr.readline()
        kept = event("notifications")
        cloud.bus.publish("notifications", kept.data(), kept.attributes())
        line = json.loads(process.stdout.readline())
        process.terminate()
        assert process.wait(timeout=20) == 0
    assert line["attributes"]["ce-id"] == kept.id


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("show", "flowers-000099"), "there is no run flowers-000099"),
        (("show", "Flowers!"), "a run is named <model>-<six digits>"),
        (("uploads", "No Model"), "is no model's name"),
        (("drop", "nothing.csv", "--model", "flowers"), "there is no file nothing.csv"),
        (("rollback", "flowers"), "flowers has no rollout"),
        (("tail", "no-such-topic"), "there is no topic no-such-topic"),
        (("logs", "flowers-000002"), "has no training job"),
        (("replay", "--model", "weeds"), "no event that is meant"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_with_exit_status_1(
    home: Path, words: tuple[str, ...], reason: str
) -> None:
    command = [sys.executable, "-m", "cli", *words, "--home", str(home)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("serin: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_command_line_has_exit_status_2(home: Path) -> None:
    serin(home, "replay", status=2)
    serin(home, "replay", RUN, "--file", "events.jsonl", status=2)
    serin(home, "approve", RUN, status=2)


def test_without_an_installation_the_command_says_how_to_make_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli", "status", "--home", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "serin up" in done.stderr) == (1, True)
