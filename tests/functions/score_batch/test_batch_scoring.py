"""Every row of a dropped file is scored or bad, once; one job, one end, one notice, whatever is repeated or breaks."""

import gzip
import io
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from cli.scores import scores as scores_of
from shared.envelope import decode
from shared.errors import Refused, Transient
from shared.events import Notification
from shared.foreign import DATA_UPLOADED
from tests.functions.standing_rollout import BASE, CANDIDATE, MODEL, put, under_way
from tests.functions.standing_run import keys, ledger
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, drop, settle, tick

SIGNATURE = {"features": [{"name": "size", "type": "number"}, {"name": "kind", "type": "text"}]}
CSV = b"id,size,kind\n1,2.5,red\n2,big,red\n3,,\n4,7\n5,1e39,blue\n6,8,green\n"
OUTPUT = "scored/digits/job-output/"


BY_A_JOB = b'[serving]\nrows_scored_here = 0\n[data]\ntarget = "digit"\n'


@pytest.fixture
def cloud() -> MemoryCloud:
    """A model whose candidate answers everything, and whose files are scored by jobs."""
    made = under_way(percent=100)
    made.data.put("settings/digits.toml", BY_A_JOB)
    for arm in (BASE, CANDIDATE):
        made.artefacts.put(
            f"{arm.artefacts.removeprefix('gs://artefacts/')}signature.json", json.dumps(SIGNATURE).encode()
        )
    made.bus.take()
    return made


def scores(cloud: MemoryCloud, name: str) -> list[Any]:
    """The records of this name of all files."""
    return [data_of(cloud, key) for key in keys(cloud, "scores/") if key.endswith(f"/{name}")]


def lines(cloud: MemoryCloud, name: str) -> list[Any]:
    found = [key for key in cloud.artefacts.keys() if key.startswith("scored/") and f"/{name}-" in key]  # noqa: SIM118
    return [json.loads(line) for key in found for line in (cloud.artefacts.read(key) or b"").splitlines()]


def only_scoring(cloud: MemoryCloud) -> list[tuple[str, str, int]]:
    return settle(cloud, lambda function: function == "score_batch")


def answer(cloud: MemoryCloud, *answers: Any, state: str = "SUCCEEDED") -> None:
    """Ends the one job with these answers, spread over two files."""
    (job,) = cloud.vertex.batch_jobs({})
    for part in range(2):
        text = "\n".join(json.dumps(each) for each in answers[part::2])
        cloud.artefacts.put(f"{OUTPUT}prediction.results-0000{part}-of-00002", text.encode())
    cloud.vertex.end_batch_job(job.name, state, output=f"gs://artefacts/{OUTPUT.rstrip('/')}")


def labelled(row: int, **more: Any) -> dict[str, Any]:
    return {"key": str(row), "prediction": {"label": "a", "probability": 0.9, "anomaly_score": 0.1, **more}}


def notices(cloud: MemoryCloud) -> list[Notification]:
    """What people were told, each notice once."""
    told = [decode(message) for topic, message in cloud.bus.history if topic == Notification.topic]
    payloads = [envelope.payload for envelope in {envelope.id: envelope for envelope in told}.values()]
    return [payload for payload in payloads if isinstance(payload, Notification)]


def wake(cloud: MemoryCloud) -> None:
    assert tick(cloud) == 200
    only_scoring(cloud)


def test_rows_the_model_can_read_go_to_one_job_of_the_version_in_production(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    assert only_scoring(cloud) == [("score_batch", DATA_UPLOADED, 200)]
    (order,) = cloud.vertex.batches
    assert order.version == CANDIDATE.version
    assert order.key == "serin_row"
    assert lines(cloud, "instances") == [
        {"serin_row": "1", "size": 2.5, "kind": "red"},
        {"serin_row": "3", "size": None, "kind": None},
        {"serin_row": "6", "size": 8.0, "kind": "green"},
    ]
    assert [(line["row"], line["reasons"]) for line in lines(cloud, "bad_rows")] == [
        (2, ["not-a-number size"]), (4, ["wrong-width"]), (5, ["not-a-number size"]),
    ]  # fmt: skip
    assert lines(cloud, "bad_rows")[0]["cells"] == ["2", "big", "red"]
    (opened,) = scores(cloud, "opened")
    assert (opened["version"], opened["run"]) == (CANDIDATE.version, CANDIDATE.run)


def test_the_end_says_what_became_of_every_row(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    refused = {"key": "3", "prediction": {"error": {"row": 0, "reasons": ["size: missing"]}}}
    answer(cloud, labelled(1, anomalous=True, receipt="r"), refused, labelled(1), labelled(77), {"key": "x"}, "odd")
    wake(cloud)
    (end,) = scores(cloud, "end")
    assert (end["outcome"], end["rows"], end["scored"], end["bad"]) == ("scored", 6, 1, 5)
    assert lines(cloud, "results") == [
        {"row": 1, "label": "a", "probability": 0.9, "anomaly_score": 0.1, "anomalous": True}
    ]
    asides = {line["row"]: line["reasons"][0].split(":")[0] for line in lines(cloud, "unanswered_rows")}
    assert asides == {3: "refused by the model", 6: "unanswered"}
    (notice,) = notices(cloud)
    assert (notice.severity, notice.run) == ("warning", CANDIDATE.run)
    assert notice.title == "digits: 1 of 6 rows of 'march.csv' are scored"


def test_nothing_is_done_twice_however_often_it_is_announced(cloud: MemoryCloud) -> None:
    generation = drop(cloud, "score/digits/march.csv", CSV)
    ((_, message),) = cloud.bus.messages
    for _ in range(3):
        cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    assert len(cloud.vertex.batches) == 1
    answer(cloud, labelled(1), labelled(3), labelled(6))
    wake(cloud)
    standing = cloud.artefacts.keys()
    cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    assert len(notices(cloud)) == 1
    assert cloud.artefacts.keys() == standing
    assert (len(cloud.vertex.batches), generation) == (1, scores(cloud, "opened")[0]["generation"])


@pytest.mark.parametrize("effect", ["storage.create", "vertex.list_batch_jobs", "vertex.create_batch_job"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delivery_that_breaks_is_made_good_by_the_next(cloud: MemoryCloud, effect: str, when: str) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    ((_, message),) = cloud.bus.messages
    getattr(cloud.door, when)[effect] = Transient(effect, "a test")
    only_scoring(cloud)
    cloud.pass_time(61)
    cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    assert len(cloud.vertex.batch_jobs({})) == 1
    answer(cloud, labelled(1), labelled(3), labelled(6))
    wake(cloud)
    (end,) = scores(cloud, "end")
    assert (end["scored"], end["bad"], len(lines(cloud, "bad_rows"))) == (3, 3, 3)


def test_a_job_that_somebody_else_recorded_first_stays_and_ours_is_cancelled(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    ((_, message),) = cloud.bus.messages

    def late_holder() -> None:
        cloud.pass_time(61)  # its lease is over
        cloud.bus.messages.append((DATA_UPLOADED, message))
        only_scoring(cloud)

    cloud.door.meanwhile["vertex.create_batch_job"] = late_holder
    only_scoring(cloud)
    (record,) = scores(cloud, "job")
    states = {job.name: job.state for job in cloud.vertex.batch_jobs({})}
    assert len(states) == 2
    assert [name for name, state in states.items() if state == "RUNNING"] == [record["job"]]


def parquet(columns: dict[str, Sequence[Any]]) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.csv.gz", gzip.compress(b"size,kind\n1,a\n,b\n", mtime=0)),
        ("a.csv", b"\xef\xbb\xbfkind,size\na,1\nb,\n"),
        ("a.jsonl", b'{"size": 1, "kind": "a"}\n{"kind": "b"}\n'),
        ("a.parquet", parquet({"size": [1, None], "kind": ["a", "b"]})),
    ],
)
def test_every_form_that_intake_reads_is_read(cloud: MemoryCloud, name: str, body: bytes) -> None:
    drop(cloud, f"score/digits/{name}", body)
    only_scoring(cloud)
    assert lines(cloud, "instances") == [
        {"serin_row": "1", "size": 1.0, "kind": "a"}, {"serin_row": "2", "size": None, "kind": "b"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("a.csv", b"size\n1\n", "missing-column"),
        ("a.csv", b"size,kind\n", "no-rows"),
        ("a.csv", b"", "empty-file"),
        ("a.csv", b"size,kind\nbig,a\n", "hopeless"),
        ("a.csv", b"size,kind,size\n1,a,2\n", "duplicate-column"),
        ("a.csv.gz", gzip.compress(b"size,kind\n1,a\n", mtime=0)[:-9], "truncated-gzip"),
        ("a.parquet", b"size,kind\n", "wrong-format"),
    ],
)
def test_a_file_that_cannot_be_scored_ends_with_its_reason(
    cloud: MemoryCloud, name: str, body: bytes, reason: str
) -> None:
    drop(cloud, f"score/digits/{name}", body)
    only_scoring(cloud)
    (end,) = scores(cloud, "end")
    assert end["outcome"] == "not scored"
    assert reason in end["reasons"][0]
    assert [notice.severity for notice in notices(cloud)] == ["error"]
    assert cloud.vertex.batches == []


def test_without_a_model_in_production_nothing_is_scored() -> None:
    cloud = MemoryCloud()
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n')
    drop(cloud, "score/digits/a.csv", b"size,kind\n1,a\n")
    only_scoring(cloud)
    assert "no-model" in scores(cloud, "end")[0]["reasons"][0]


def test_a_failed_job_and_a_refused_one_are_ends_that_people_hear_of(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    (job,) = cloud.vertex.batch_jobs({})
    cloud.vertex.end_batch_job(job.name, "FAILED", "no machine")
    wake(cloud)
    cloud.door.before["vertex.create_batch_job"] = Refused("vertex.create_batch_job", "status 404: no such model")
    drop(cloud, "score/digits/april.csv", CSV)
    only_scoring(cloud)
    reasons = sorted(end["reasons"][0] for end in scores(cloud, "end"))
    assert reasons == ["the job ended FAILED: no machine", "vertex.create_batch_job refused: status 404: no such model"]


def test_a_job_of_more_than_a_day_is_cancelled_and_ends(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    cloud.pass_time(timedelta(hours=24, seconds=1).total_seconds())
    wake(cloud)
    assert [job.state for job in cloud.vertex.batch_jobs({})] == ["CANCELLED"]
    wake(cloud)
    assert "CANCELLED" in scores(cloud, "end")[0]["reasons"][0]


def test_the_model_that_was_in_production_at_the_beginning_scores_the_whole_file(cloud: MemoryCloud) -> None:
    cloud.door.before["vertex.create_batch_job"] = Transient("vertex.create_batch_job", "a test")
    drop(cloud, "score/digits/march.csv", CSV)
    ((_, message),) = cloud.bus.messages
    only_scoring(cloud)
    put(cloud, "verdict", {"decision": "rollback", "by": "ada", "because": "worse", "set_aside": False})
    cloud.pass_time(61)
    cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    assert [order.version for order in cloud.vertex.batches] == [CANDIDATE.version]


def test_what_nobody_may_see_is_not_written_aside(cloud: MemoryCloud) -> None:
    cloud.data.put("settings/digits.toml", BY_A_JOB + b"[data.columns.id]\nsensitive = true\n")
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    assert {line["cells"] for line in lines(cloud, "bad_rows")} == {None}


def test_what_writers_put_beside_their_files_is_no_file_of_rows(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/_SUCCESS", b"")
    only_scoring(cloud)
    assert [end["outcome"] for end in scores(cloud, "end")] == ["skipped"]
    assert notices(cloud) == []


def test_a_tick_is_silent_while_the_job_runs_and_once_all_is_over(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)

    def announced() -> int:
        assert tick(cloud) == 200
        return sum(topic == DATA_UPLOADED for topic, _ in cloud.bus.take())

    announced()  # the sweep of this hour
    assert announced() == 0
    answer(cloud, labelled(1), labelled(3), labelled(6))
    assert announced() == 1
    wake(cloud)
    assert announced() == 1
    told(cloud)
    assert announced() == 0
    assert MODEL in keys(cloud, "scores/")[0]


def told(cloud: MemoryCloud) -> None:
    """A tick that announces what nobody has heard of, until whoever tells people has taken it in."""
    assert tick(cloud) == 200
    settle(cloud, lambda function: function in ("score_batch", "notify"))


def test_an_end_whose_delivery_was_given_up_is_said_once_more(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    wake(cloud)  # with the sweep of this hour
    answer(cloud, labelled(1), labelled(3), labelled(6))
    assert tick(cloud) == 200
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "a test")
    only_scoring(cloud)
    assert (len(scores(cloud, "end")), notices(cloud)) == (1, [])
    told(cloud)
    assert [notice.title for notice in notices(cloud)] == ["digits: 3 of 6 rows of 'march.csv' are scored"]


def test_a_job_that_comes_after_the_files_end_is_cancelled_by_whoever_comes_again(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    ((_, message),) = cloud.bus.messages
    only_scoring(cloud)
    answer(cloud, labelled(1), labelled(3), labelled(6))
    wake(cloud)
    assert len(scores(cloud, "end")) == 1
    late = cloud.vertex.create_batch_job(cloud.vertex.batches[0])
    cloud.bus.messages.append((DATA_UPLOADED, message))
    only_scoring(cloud)
    states = [job.state for job in cloud.vertex.batch_jobs({})]
    assert (states, cloud.vertex.batch_job(late.name).state) == (["SUCCEEDED", "CANCELLED"], "CANCELLED")


def test_people_are_told_where_every_file_stands(cloud: MemoryCloud) -> None:
    drop(cloud, "score/digits/march.csv", CSV)
    only_scoring(cloud)
    (line,) = scores_of(ledger(cloud), MODEL)
    assert (line["name"], line["outcome"], line["rows"]) == ("score/digits/march.csv", "being scored", 6)
    answer(cloud, labelled(1), labelled(3), labelled(6))
    wake(cloud)
    (line,) = scores_of(ledger(cloud), MODEL)
    assert (line["outcome"], line["version"], line["scored"], line["bad"]) == ("scored", "2", 3, 3)
    assert line["results"].startswith("gs://artefacts/scored/digits/")
