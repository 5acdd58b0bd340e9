"""Training jobs on the local Cloud Run, through Serin's own door and Google's client."""

from dataclasses import replace
from pathlib import Path

import pytest

from local import run
from shared.errors import Refused
from shared.jobs import Job, JobOrder
from tests.local.run.conftest import IMAGES, Google, doors
from tests.local.vertex.clients import until


def order(name: str, script: str, timeout_seconds: int = 60, retries: int = 0) -> JobOrder:
    labels = {"managed-by": "serin", "serin-run": name}
    return JobOrder(name, labels, "script", {"ORDER": script}, "", "", "", 0, timeout_seconds, None, retries=retries)


def ended(google: Google, job: Job) -> Job:
    return until(lambda: (now := google.jobs.job(job.name)).ended and now)  # type: ignore[no-any-return]


def told(google: Google, job: Job) -> list[str]:
    return (google.folder / "logs" / f"job-{job.number}.log").read_text().splitlines()


@pytest.mark.parametrize(("script", "state"), [("exit 0", "SUCCEEDED"), ("exit 3", "FAILED")])
def test_a_job_ends_as_its_process_does_and_knows_its_name(google: Google, script: str, state: str) -> None:
    made = google.jobs.create_job(order(f"serin-ends-{state.lower()}", script))
    now = ended(google, made)
    assert now.state == state
    assert ("exit status 3" in now.error) is (state == "FAILED")
    assert told(google, made) == [f"{made.number} attempt 0"]


def test_a_job_that_has_ended_can_be_deleted_and_one_that_runs_cannot(google: Google) -> None:
    over = google.jobs.create_job(order("serin-over", "exit 0"))
    running = google.jobs.create_job(order("serin-running", "sleep 60"))
    ended(google, over)
    google.jobs._jobs.delete_job(name=over.name)
    with pytest.raises(Exception, match="running execution"):
        google.jobs._jobs.delete_job(name=running.name)
    stand = {job.name for job in google.jobs.jobs({"managed-by": "serin"})}
    assert stand & {over.name, running.name} == {running.name}
    google.jobs.cancel_job(running.name)


def test_a_job_is_made_once_however_often_it_is_ordered(google: Google) -> None:
    first = google.jobs.create_job(order("serin-once-1", "exit 0"))
    again = google.jobs.create_job(order("serin-once-1", "exit 0"))
    assert again.name == first.name
    ended(google, first)
    assert len(told(google, first)) == 1
    assert [job.name for job in google.jobs.jobs({"serin-run": "serin-once-1"})] == [first.name]


def test_a_failing_job_is_tried_again_as_often_as_it_may_be(google: Google) -> None:
    made = google.jobs.create_job(order("serin-retried", '[ "$CLOUD_RUN_TASK_ATTEMPT" = 2 ]', retries=2))
    assert ended(google, made).state == "SUCCEEDED"
    assert told(google, made) == [f"serin-retried attempt {number}" for number in range(3)]


def test_a_job_beyond_its_timeout_fails(google: Google) -> None:
    made = google.jobs.create_job(order("serin-late", "sleep 60", timeout_seconds=1))
    assert "beyond its 1 seconds" in ended(google, made).error


def test_a_job_can_be_cancelled(google: Google) -> None:
    made = google.jobs.create_job(order("serin-cancelled", "sleep 60"))
    google.jobs.cancel_job(made.name)
    assert ended(google, made).state == "CANCELLED"
    with pytest.raises(Refused):
        google.jobs.cancel_job(made.name)


def test_an_image_that_nothing_stands_for_is_refused(google: Google) -> None:
    with pytest.raises(Refused, match="not mapped"):
        google.jobs.create_job(replace(order("serin-unknown", ""), image="unknown"))


def test_what_ran_when_the_service_ended_runs_again_at_its_next_start(tmp_path: Path) -> None:
    with run.running(tmp_path, IMAGES, "http://127.0.0.1:1") as server:
        google = doors(server.url, tmp_path)
        made = google.jobs.create_job(
            order("serin-survives", '[ "$CLOUD_RUN_TASK_ATTEMPT" = 1 ] || sleep 60', retries=1)
        )
        until(lambda: google.jobs.job(made.name).state == "RUNNING")
    with run.running(tmp_path, IMAGES, "http://127.0.0.1:1") as server:
        assert ended(doors(server.url, tmp_path), made).state == "SUCCEEDED"
