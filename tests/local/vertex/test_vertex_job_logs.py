"""The last lines of a job, asked for as Cloud Logging is asked, by the very code that asks Google Cloud."""

import pytest
from google.api_core.exceptions import BadRequest

from shared.environment import Environment, read_environment
from shared.job_logs import last_lines
from tests.local.vertex.clients import Clients


def environment(google: Clients) -> Environment:
    named = ("SERIN_DATA_BUCKET", "SERIN_STATE_BUCKET", "SERIN_ARTEFACTS_BUCKET")
    known = {**dict.fromkeys(named, "b"), "GOOGLE_CLOUD_PROJECT": "serin-local", "SERIN_LOGGING_ENDPOINT": google.url}
    return read_environment(known)


def of_job(name: str) -> str:
    """What Cloud Logging is asked about a custom job."""
    return f'resource.type="ml_job" AND resource.labels.job_id="{name.rsplit("/", 1)[-1]}"'


@pytest.mark.parametrize("end", ["exit 3", "kill -9 $$"])
def test_the_last_hundred_lines_of_a_job_that_failed_come_oldest_first(google: Clients, end: str) -> None:
    made = google.job(f"for i in $(seq 1 150); do echo line $i; done; {end}")
    assert google.ended_job(made.name).state.name == "JOB_STATE_FAILED"
    lines = last_lines(environment(google), of_job(made.name), 100)
    assert lines == tuple(f"line {number}" for number in range(51, 151))


def test_a_job_that_said_nothing_has_no_lines(google: Clients) -> None:
    made = google.job("exit 1")
    google.ended_job(made.name)
    assert last_lines(environment(google), of_job(made.name), 100) == ()


def test_a_question_that_is_not_about_one_job_is_refused(google: Clients) -> None:
    with pytest.raises(BadRequest):
        last_lines(environment(google), of_job('x" OR "'), 100)
