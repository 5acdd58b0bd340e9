"""What goes wrong on request, what takes its time, and what Google's documents leave open."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import (
    Conflict,
    GoogleAPICallError,
    NotFound,
    ResourceExhausted,
    ServiceUnavailable,
    TooManyRequests,
)

from local import vertex
from local.vertex import Durations, Switches
from local.vertex.switches import REALISTIC, switches_of
from tests.local.vertex.clients import IMAGES, PARENT, Clients, outcome, until


@contextmanager
def scripted(google: Clients, method: str, *instructions: str) -> Iterator[Callable[[], bool]]:
    """The next requests of a method fail so; answers whether all have."""
    with httpx.Client(base_url=google.url) as http:
        script = {"instructions": {method: list(instructions)}, "everyone": True}
        made = http.post("/retry_test", json=script).raise_for_status().json()["id"]
        yield lambda: bool(http.get(f"/retry_test/{made}").json()["completed"])
        http.delete(f"/retry_test/{made}")


def jobs_labelled(google: Clients, label: str) -> list[str]:
    request = {"parent": PARENT, "filter": f"labels.mine={label}"}
    return [job.name for job in google.jobs.list_custom_jobs(request=request)]


@pytest.mark.parametrize(("code", "kind"), [(429, TooManyRequests), (503, ServiceUnavailable)])
def test_a_refused_job_does_not_exist(google: Clients, code: int, kind: type[GoogleAPICallError]) -> None:
    with scripted(google, "customJobs.create", f"return-{code}") as done:
        with pytest.raises(kind):
            google.job("exit 0", {"mine": f"refused-{code}"})
        assert done()
    assert jobs_labelled(google, f"refused-{code}") == []


@pytest.mark.parametrize("fault", ["return-503-after-effect", "return-reset-connection-after-effect"])
def test_a_job_whose_answer_is_lost_exists(google: Clients, fault: str) -> None:
    label = fault.replace("return-", "")
    with scripted(google, "customJobs.create", fault), pytest.raises((ServiceUnavailable, OSError)):
        google.job("exit 0", {"mine": label})
    assert len(jobs_labelled(google, label)) == 1


def test_an_upload_fails_halfway_without_a_version(google: Clients) -> None:
    with scripted(google, "models.upload", "fail-operation-RESOURCE_EXHAUSTED"), pytest.raises(ResourceExhausted):
        google.upload("halfway")
    with pytest.raises(NotFound):
        google.models.get_model(name=f"{PARENT}/models/halfway")
    assert google.upload("halfway").model_version_id == "2"


def test_an_upload_may_report_a_failure_although_the_version_is_there(google: Clients) -> None:
    with scripted(google, "models.upload", "fail-operation-INTERNAL-after-effect"), pytest.raises(GoogleAPICallError):
        google.upload("after-all")
    assert google.models.get_model(name=f"{PARENT}/models/after-all").version_id == "1"


def test_a_deployment_fails_halfway_and_can_be_tried_again_under_its_id(google: Clients) -> None:
    google.upload("unlucky")
    endpoint = google.endpoint("unlucky").name
    with scripted(google, "endpoints.deployModel", "fail-operation-FAILED_PRECONDITION"):
        begun = google.deploy(endpoint, "1", "unlucky")
    with pytest.raises(GoogleAPICallError, match="asked to fail"):
        outcome(begun)
    assert list(google.endpoints.get_endpoint(name=endpoint).deployed_models) == []
    outcome(google.deploy(endpoint, "1", "unlucky"))
    assert [each.id for each in google.endpoints.get_endpoint(name=endpoint).deployed_models] == ["1"]


def test_a_prediction_is_refused_on_request(google: Clients) -> None:
    with scripted(google, "endpoints.predict", "return-429"), pytest.raises(TooManyRequests):
        google.predict(f"{PARENT}/endpoints/nowhere", 1)


def test_things_take_as_long_as_is_asked_for(tmp_path: Path, artefact_store: str) -> None:
    durations = Durations(job_pending_seconds=0.4, upload_seconds=0.4)
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=Switches(durations=durations)) as server:
        google = Clients(server.url)
        begun = time.monotonic()
        google.upload("slow")
        assert time.monotonic() - begun >= 0.4
        made = google.job("exit 0")
        assert google.jobs.get_custom_job(name=made.name).state.name == "JOB_STATE_PENDING"
        ended = google.ended_job(made.name)
        assert ended.start_time.timestamp() - ended.create_time.timestamp() >= 0.39
        google.close()


def test_a_duration_goes_on_after_a_restart_and_a_waiting_job_can_be_cancelled(
    tmp_path: Path, artefact_store: str
) -> None:
    slow = Switches(durations=Durations(job_pending_seconds=3600, upload_seconds=3600))
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=slow) as server:
        google = Clients(server.url)
        made, cancelled = google.job("exit 0"), google.job("exit 0")
        google.jobs.cancel_custom_job(name=cancelled.name)
        assert google.ended_job(cancelled.name).state.name == "JOB_STATE_CANCELLED"
        model = {"display_name": "slow", "container_spec": {"image_uri": "serving"}}
        begun = google.models.upload_model(request={"parent": PARENT, "model": model, "model_id": "slow"})
        google.close()
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=slow) as server:
        google = Clients(server.url)
        assert google.jobs.get_custom_job(name=made.name).state.name == "JOB_STATE_PENDING"
        assert not google.models.get_operation(request={"name": begun.operation.name}).done
        google.close()
    with vertex.running(tmp_path, IMAGES, artefact_store) as server:
        google = Clients(server.url)
        assert google.ended_job(made.name).state.name == "JOB_STATE_SUCCEEDED"
        until(lambda: google.models.get_operation(request={"name": begun.operation.name}).done)
        google.close()


def test_an_upload_under_the_id_of_an_existing_model_is_refused_or_its_next_version(
    google: Clients, tmp_path: Path, artefact_store: str
) -> None:
    google.upload("twice")
    with pytest.raises(Conflict):
        google.upload("twice")
    switches = Switches(existing_model="NEW_VERSION")
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=switches) as server:
        other = Clients(server.url)
        assert [other.upload("twice").model_version_id for _ in range(2)] == ["1", "2"]
        assert "default" not in other.models.get_model(name=f"{PARENT}/models/twice@2").version_aliases
        other.close()


def test_a_command_line_names_switches_by_their_values() -> None:
    named = ["honours_etags=false", "changed_endpoint=FAILED_PRECONDITION", "ready_seconds=2"]
    read = switches_of(named, REALISTIC)
    assert (read.honours_etags, read.changed_endpoint.value, read.ready_seconds) == (False, "FAILED_PRECONDITION", 2)
    assert read.durations.deploy_seconds == 600


@pytest.mark.parametrize("wrong", ["", "colour=red", "durations=1", "honours_etags=perhaps", "ready_seconds=soon"])
def test_a_switch_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"switch|one of|float"):
        switches_of([wrong], Durations())
