"""Endpoints, deployments and traffic as Google's client sees them."""

from pathlib import Path

import pytest
from google.api_core.exceptions import BadRequest, Conflict, FailedPrecondition, GoogleAPICallError, NotFound

from local import vertex
from local.errors import Status
from local.vertex import Switches
from tests.local.vertex.clients import IMAGES, PARENT, Clients, outcome


@pytest.fixture(scope="module")
def pair(google: Clients) -> str:
    """An endpoint with two models, deployed dark."""
    google.upload("pair")
    google.upload("pair", more=True)
    name: str = google.endpoint("pair").name
    for number in ("1", "2"):
        outcome(google.deploy(name, number, f"pair@{number}"))
    return name


def status_of(error: GoogleAPICallError) -> str:
    return str(error.response.json()["error"]["status"])


def test_an_endpoint_has_the_id_that_was_asked_for_once(google: Clients) -> None:
    made = google.endpoint("chosen")
    assert made.name == f"{PARENT}/endpoints/chosen"
    with pytest.raises(Conflict) as refused:
        google.endpoint("chosen")
    assert status_of(refused.value) == "ALREADY_EXISTS"
    for wrong in ("Capital", "0123", "1234567890", "ends-", "x" * 64):
        with pytest.raises(BadRequest):
            google.endpoint(wrong)


def test_endpoints_are_listed_by_name_and_deleted_when_empty(google: Clients, pair: str) -> None:
    def listed() -> list[str]:
        request = {"parent": PARENT, "filter": 'display_name="short-lived"'}
        return [each.name for each in google.endpoints.list_endpoints(request=request)]

    made = google.endpoint("short-lived")
    assert listed() == [made.name]
    outcome(google.endpoints.delete_endpoint(name=made.name))
    assert listed() == []
    with pytest.raises(BadRequest, match="deployed models"):
        google.endpoints.delete_endpoint(name=pair)


def test_deployed_models_have_the_ids_that_were_asked_for_and_no_traffic(google: Clients, pair: str) -> None:
    google.shift(pair, {})
    endpoint = google.endpoints.get_endpoint(name=pair)
    told = {each.id: (each.model, each.model_version_id) for each in endpoint.deployed_models}
    assert told == {"1": (f"{PARENT}/models/pair", "1"), "2": (f"{PARENT}/models/pair", "2")}
    assert dict(endpoint.traffic_split) == {}
    with pytest.raises(BadRequest) as refused:
        google.predict(pair, 1)
    assert status_of(refused.value) == "FAILED_PRECONDITION"


def test_a_split_under_an_old_etag_is_refused_and_without_an_etag_it_wins(google: Clients, pair: str) -> None:
    first = google.shift(pair, {"1": 100})
    second = google.shift(pair, {"1": 95, "2": 5}, first.etag)
    assert second.etag != first.etag
    with pytest.raises(Conflict) as refused:
        google.shift(pair, {"2": 100}, first.etag)
    assert status_of(refused.value) == "ABORTED"
    assert dict(google.endpoints.get_endpoint(name=pair).traffic_split) == {"1": 95, "2": 5}
    assert dict(google.shift(pair, {"1": 100}).traffic_split) == {"1": 100}


@pytest.mark.parametrize("split", [{"1": 99}, {"1": 60, "2": 60}, {"1": 50, "7": 50}, {"1": 150, "2": -50}])
def test_an_illegal_split_changes_nothing(google: Clients, pair: str, split: dict[str, int]) -> None:
    before = google.shift(pair, {"1": 100})
    with pytest.raises(BadRequest):
        google.shift(pair, split)
    assert google.endpoints.get_endpoint(name=pair) == before


def test_an_update_changes_only_what_its_mask_names(google: Clients, pair: str) -> None:
    google.shift(pair, {"1": 100})
    wanted = {"name": pair, "display_name": "another name", "traffic_split": {"2": 100}}
    changed = google.endpoints.update_endpoint(endpoint=wanted, update_mask={"paths": ["display_name"]})
    assert (changed.display_name, dict(changed.traffic_split)) == ("another name", {"1": 100})
    for paths in ([], ["deployed_models"]):
        with pytest.raises(BadRequest, match="mask"):
            google.endpoints.update_endpoint(endpoint=wanted, update_mask={"paths": paths})


def test_what_a_deployment_may_not_be_is_refused_at_once(google: Clients, pair: str) -> None:
    with pytest.raises(Conflict):
        google.deploy(pair, "2", "pair@1")
    for identity in ("0", "12345678901", "abc"):
        with pytest.raises(BadRequest, match="id"):
            google.deploy(pair, identity, "pair@1")
    with pytest.raises(NotFound):
        google.deploy(pair, "3", "pair@9")
    with pytest.raises(BadRequest, match="100"):
        google.deploy(pair, "3", "pair@1", {"0": 50})
    with pytest.raises(NotFound):
        google.deploy(f"{PARENT}/endpoints/nowhere", "3", "pair@1")


def test_a_deployment_may_bring_its_split_and_only_one_runs_at_a_time(google: Clients, pair: str) -> None:
    google.shift(pair, {"1": 100})
    begun = google.deploy(pair, "3", "pair@1", {"0": 10, "1": 90})
    with pytest.raises(BadRequest) as refused:
        google.deploy(pair, "4", "pair@1")
    assert status_of(refused.value) == "FAILED_PRECONDITION"
    assert outcome(begun).deployed_model.id == "3"
    assert dict(google.endpoints.get_endpoint(name=pair).traffic_split) == {"3": 10, "1": 90}
    with pytest.raises(BadRequest) as still:
        google.undeploy(pair, "3")
    assert status_of(still.value) == "FAILED_PRECONDITION"
    outcome(google.undeploy(pair, "3", {"1": 100}))
    after = google.endpoints.get_endpoint(name=pair)
    assert ({each.id for each in after.deployed_models}, dict(after.traffic_split)) == ({"1", "2"}, {"1": 100})
    with pytest.raises(NotFound):
        google.undeploy(pair, "3")


def test_the_last_model_may_leave_with_its_traffic(google: Clients) -> None:
    google.upload("lonely")
    endpoint = google.endpoint("lonely").name
    outcome(google.deploy(endpoint, "7", "lonely", {"0": 100}))
    outcome(google.undeploy(endpoint, "7"))
    left = google.endpoints.get_endpoint(name=endpoint)
    assert (list(left.deployed_models), dict(left.traffic_split)) == ([], {})


def test_a_container_that_ends_at_once_fails_its_deployment(google: Clients) -> None:
    google.upload("ending", env=[{"name": "FAILS", "value": "exits"}])
    endpoint = google.endpoint("ending").name
    begun = google.deploy(endpoint, "1", "ending", {"0": 100})
    with pytest.raises(FailedPrecondition, match="exited unexpectedly"):
        outcome(begun)
    assert list(google.endpoints.get_endpoint(name=endpoint).deployed_models) == []


def test_what_googles_documents_leave_open_is_a_switch(tmp_path: Path, artefact_store: str) -> None:
    switches = Switches(
        repeated_deployed_model=Status.INVALID_ARGUMENT,
        honours_etags=False,
        overdue_job="JOB_STATE_CANCELLED",
        ready_seconds=0.5,
    )
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=switches) as server:
        google = Clients(server.url)
        google.upload("dark")
        google.upload("dark", more=True, env=[{"name": "FAILS", "value": "never-healthy"}])
        endpoint = google.endpoint("dark").name
        with pytest.raises(FailedPrecondition, match="never became ready"):
            outcome(google.deploy(endpoint, "1", "dark@2"))
        overdue = google.job("sleep 600", timeout={"nanos": 100_000_000})
        assert google.ended_job(overdue.name).state.name == "JOB_STATE_CANCELLED"
        google.close()


def test_an_etag_may_be_ignored_by_a_switch(tmp_path: Path, artefact_store: str) -> None:
    with vertex.running(tmp_path, IMAGES, artefact_store, switches=Switches(honours_etags=False)) as server:
        google = Clients(server.url)
        endpoint = google.endpoint("lax")
        google.shift(endpoint.name, {}, "an old etag")
        google.close()
    with vertex.running(
        tmp_path, IMAGES, artefact_store, switches=Switches(changed_endpoint=Status.FAILED_PRECONDITION)
    ) as server:
        google = Clients(server.url)
        with pytest.raises(BadRequest):
            google.shift(endpoint.name, {}, "an old etag")
        google.close()
