"""Custom jobs as Google's client sees them."""

import pytest
from google.api_core.exceptions import BadRequest, MethodNotImplemented, NotFound

from tests.local.vertex.clients import PARENT, Clients, until


def test_a_job_whose_container_ends_well_succeeds(google: Clients) -> None:
    made = google.job("exit 0")
    assert made.state.name == "JOB_STATE_PENDING"
    assert made.name.rsplit("/", 1)[-1].isdecimal()
    ended = google.ended_job(made.name)
    assert ended.state.name == "JOB_STATE_SUCCEEDED"
    assert ended.create_time <= ended.start_time <= ended.end_time


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("kill -9 $$", 137)])
def test_a_job_whose_container_ends_badly_tells_how(google: Clients, script: str, status: int) -> None:
    ended = google.ended_job(google.job(script).name)
    assert ended.state.name == "JOB_STATE_FAILED"
    assert f"status of {status}." in ended.error.message


def test_a_container_has_the_variables_of_vertex_and_of_its_specification(google: Clients) -> None:
    container = {"image_uri": "shell", "args": ["env"], "env": [{"name": "COLOUR", "value": "red"}]}
    spec = {
        "worker_pool_specs": [{"container_spec": container}],
        "base_output_directory": {"output_uri_prefix": "gs://b/run/"},
    }
    wanted = {"display_name": "env", "job_spec": spec}
    made = google.jobs.create_custom_job(parent=PARENT, custom_job=wanted)
    google.ended_job(made.name)
    told = set(google.log(made.name).splitlines())
    assert told >= {
        f"CLOUD_ML_JOB_ID={made.name.rsplit('/', 1)[-1]}",
        "AIP_MODEL_DIR=gs://b/run/model/",
        "AIP_CHECKPOINT_DIR=gs://b/run/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR=gs://b/run/logs/",
        "COLOUR=red",
        f"SERIN_VERTEX_ENDPOINT={google.url}",
        "PUBSUB_EMULATOR_HOST=127.0.0.1:1",
        "GOOGLE_CLOUD_PROJECT=serin-local",
    }


def test_a_cancelled_job_ends_cancelled_and_so_does_its_process(google: Clients) -> None:
    made = google.job("trap 'echo ended; exit 1' TERM; echo started; while :; do sleep 0.05; done")
    until(lambda: "started" in google.log(made.name))
    google.jobs.cancel_custom_job(name=made.name)
    assert google.ended_job(made.name).state.name == "JOB_STATE_CANCELLED"
    assert "ended" in google.log(made.name)
    google.jobs.cancel_custom_job(name=made.name)
    assert google.jobs.get_custom_job(name=made.name).state.name == "JOB_STATE_CANCELLED"


def test_a_job_beyond_its_timeout_ends_and_says_so(google: Clients) -> None:
    ended = google.ended_job(google.job("sleep 600", timeout={"nanos": 300_000_000}).name)
    assert ended.state.name == "JOB_STATE_FAILED"
    assert "timeout of 0.3 seconds" in ended.error.message


def test_jobs_are_listed_by_label_and_state_newest_first(google: Clients) -> None:
    first = google.job("exit 0", {"run": "a-1", "try": "1"})
    second = google.job("exit 1", {"run": "a-1", "try": "2"})
    google.job("exit 0", {"run": "a-2"})
    for job in (first, second):
        google.ended_job(job.name)

    def listed(condition: str) -> list[str]:
        request = {"parent": PARENT, "filter": condition, "page_size": 1}
        return [job.name for job in google.jobs.list_custom_jobs(request=request)]

    assert listed("labels.run=a-1") == [second.name, first.name]
    assert listed('labels.run=a-1 AND state="JOB_STATE_FAILED"') == [second.name]
    assert listed("labels.run=a-1 AND labels.try=1") == [first.name]
    assert listed("labels.run=a-1 AND NOT labels.try=1") == [second.name]
    assert listed("labels.run=a-3") == []


def test_what_google_refuses_is_refused(google: Clients) -> None:
    with pytest.raises(NotFound):
        google.jobs.get_custom_job(name=f"{PARENT}/customJobs/1")
    with pytest.raises(BadRequest, match="worker pool"):
        google.jobs.create_custom_job(parent=PARENT, custom_job={"display_name": "empty"})
    with pytest.raises(BadRequest, match="label"):
        google.job("exit 0", {"Run": "a"})
    with pytest.raises(BadRequest, match="filter"):
        list(google.jobs.list_custom_jobs(request={"parent": PARENT, "filter": "labels.run="}))
    pools = [{"container_spec": {"image_uri": "unknown"}}]
    with pytest.raises(BadRequest, match="'unknown' is not mapped"):
        google.jobs.create_custom_job(
            parent=PARENT, custom_job={"display_name": "a", "job_spec": {"worker_pool_specs": pools}}
        )
    with pytest.raises(MethodNotImplemented):
        google.jobs.create_custom_job(
            parent=PARENT, custom_job={"display_name": "a", "job_spec": {"worker_pool_specs": [*pools, *pools]}}
        )
    with pytest.raises(MethodNotImplemented):
        google.jobs.delete_custom_job(name=f"{PARENT}/customJobs/1")


def test_a_log_is_read_from_where_the_reader_stands(google: Clients) -> None:
    import httpx

    made = google.job("printf 'naïve café'")
    google.ended_job(made.name)
    address = f"{google.url}/local/logs/customJobs/{made.name.rsplit('/', 1)[-1]}"
    assert httpx.get(address).text == "naïve café"
    assert httpx.get(address, params={"offset": 7}).text == "café"
    assert httpx.get(address, params={"offset": 700}).text == ""
    assert httpx.get(address, params={"offset": "x"}).status_code == 400
    assert httpx.get(f"{google.url}/local/logs/customJobs/1").status_code == 404
