"""Batch prediction jobs as Google's client sees them: results by key, errors counted, states told."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, MethodNotImplemented, NotFound

from tests.local.vertex.clients import PARENT, Clients, until

OUTPUT = "gs://artefacts/batch/out"


@pytest.fixture(scope="module", autouse=True)
def _models(google: Clients) -> None:
    google.upload("batch")
    google.upload("batch", more=True, env=[{"name": "FAILS", "value": "exits"}])


def put(storage: str, name: str, *instances: Any) -> str:
    text = "\n".join(each if isinstance(each, str) else json.dumps(each) for each in instances)
    params = {"uploadType": "media", "name": name}
    httpx.post(f"{storage}/upload/storage/v1/b/artefacts/o", params=params, content=text).raise_for_status()
    return f"gs://artefacts/{name}"


def create(google: Clients, inputs: Sequence[str], model: str = "batch@1", key: str = "row", **more: Any) -> Any:
    wanted = {
        "display_name": "a batch",
        "model": f"{PARENT}/models/{model}",
        "input_config": {"instances_format": "jsonl", "gcs_source": {"uris": list(inputs)}},
        "output_config": {"predictions_format": "jsonl", "gcs_destination": {"output_uri_prefix": OUTPUT}},
        "instance_config": {"instance_type": "object", "key_field": key},
        **more,
    }
    return google.jobs.create_batch_prediction_job(parent=PARENT, batch_prediction_job=wanted)


def ended(google: Clients, name: str) -> Any:
    def over() -> Any:
        job = google.jobs.get_batch_prediction_job(name=name)
        return job if job.end_time else None

    return until(over)


def files(storage: str, job: Any) -> dict[str, str]:
    """What stands in a job's output, by name."""
    folder = job.output_info.gcs_output_directory.removeprefix("gs://artefacts/")
    assert folder.startswith("batch/out/prediction-batch-")
    listed = httpx.get(f"{storage}/storage/v1/b/artefacts/o", params={"prefix": f"{folder}/"}).json()["items"]
    return {
        item["name"].rsplit("/", 1)[-1]: httpx.get(
            f"{storage}/download/storage/v1/b/artefacts/o/{item['name'].replace('/', '%2F')}", params={"alt": "media"}
        ).text
        for item in listed
    }


def test_every_instance_is_answered_by_its_key_in_a_file_per_input(google: Clients, artefact_store: str) -> None:
    for part in range(2):
        rows = [{"row": f"{part}-{row}", "a": row} for row in range(100)]
        put(artefact_store, f"batch/in/rows-{part}.jsonl", *rows)
    made = create(google, ["gs://artefacts/batch/in/rows-*.jsonl"], labels={"score": "a"})
    assert (made.state.name, made.model_version_id) == ("JOB_STATE_PENDING", "1")
    job = ended(google, made.name)
    assert (job.state.name, job.completion_stats.successful_count) == ("JOB_STATE_SUCCEEDED", 200)
    found = files(artefact_store, job)
    assert sorted(found) == [
        "prediction.errors_stats-00000-of-00001",
        "prediction.results-00000-of-00002",
        "prediction.results-00001-of-00002",
    ]
    results = [json.loads(line) for line in found["prediction.results-00001-of-00002"].splitlines()]
    assert [line["key"] for line in results] == [f"1-{row}" for row in range(100)]
    told, artefacts, _ = results[0]["prediction"]
    assert (told, artefacts) == ("nowhere", "gs://serin-local-vertex/models/serin-local/us-central1/batch/1")
    assert found["prediction.errors_stats-00000-of-00001"] == ""


def test_without_a_key_the_instance_stands_beside_its_prediction(google: Clients, artefact_store: str) -> None:
    uri = put(artefact_store, "batch/plain.jsonl", {"a": 1}, [1, 2])
    found = files(artefact_store, ended(google, create(google, [uri], key="").name))
    results = [json.loads(line) for line in found["prediction.results-00000-of-00001"].splitlines()]
    assert [line["instance"] for line in results] == [{"a": 1}, [1, 2]]


def test_what_the_container_refuses_is_counted_and_the_rest_is_answered(google: Clients, artefact_store: str) -> None:
    uri = put(artefact_store, "batch/bad.jsonl", {"a": 1}, '"bad"', "{no json", {"a": 2}, {"a": 3})
    job = ended(google, create(google, [uri], key="", manual_batch_tuning_parameters={"batch_size": 2}).name)
    assert job.state.name == "JOB_STATE_PARTIALLY_SUCCEEDED"
    assert (job.completion_stats.successful_count, job.completion_stats.failed_count) == (2, 3)
    errors = files(artefact_store, job)["prediction.errors_stats-00000-of-00001"].splitlines()
    assert len(errors) == 2
    assert "('Cannot parse an instance as JSON.', 1)" in errors
    assert any("Non-OK result 400" in line and line.endswith(", 2)") for line in errors)


def test_a_job_fails_whose_container_never_starts_or_whose_files_are_not_there(
    google: Clients, artefact_store: str
) -> None:
    uri = put(artefact_store, "batch/one.jsonl", {"row": 1})
    exits = ended(google, create(google, [uri], model="batch@2").name)
    assert (exits.state.name, "exited" in exits.error.message) == ("JOB_STATE_FAILED", True)
    for missing in ("gs://artefacts/batch/none.jsonl", "gs://artefacts/batch/none-*.jsonl"):
        job = ended(google, create(google, [missing]).name)
        assert (job.state.name, "none" in job.error.message) == ("JOB_STATE_FAILED", True)


def test_a_cancelled_job_ends_cancelled(google: Clients, artefact_store: str) -> None:
    uri = put(artefact_store, "batch/one.jsonl", {"row": 1})
    made = create(google, [uri])
    google.jobs.cancel_batch_prediction_job(name=made.name)
    assert ended(google, made.name).state.name == "JOB_STATE_CANCELLED"
    google.jobs.cancel_batch_prediction_job(name=made.name)
    assert google.jobs.get_batch_prediction_job(name=made.name).state.name == "JOB_STATE_CANCELLED"


def test_jobs_are_listed_by_label_newest_first(google: Clients, artefact_store: str) -> None:
    uri = put(artefact_store, "batch/one.jsonl", {"row": 1})
    names = [create(google, [uri], labels={"score": "b"}).name for _ in range(2)]
    for name in names:
        ended(google, name)
    request = {"parent": PARENT, "filter": "labels.score=b AND state=JOB_STATE_SUCCEEDED"}
    assert [job.name for job in google.jobs.list_batch_prediction_jobs(request=request)] == names[::-1]


def test_what_google_refuses_is_refused(google: Clients) -> None:
    with pytest.raises(NotFound):
        create(google, ["gs://artefacts/a"], model="nobody@1")
    with pytest.raises(BadRequest):
        create(google, [])
    with pytest.raises(MethodNotImplemented):
        create(google, ["gs://artefacts/a"], input_config={"instances_format": "csv"})
    with pytest.raises(NotFound):
        google.jobs.get_batch_prediction_job(name=f"{PARENT}/batchPredictionJobs/1")
