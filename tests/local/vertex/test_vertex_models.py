"""The model registry as Google's client sees it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Conflict, FailedPrecondition, InvalidArgument, NotFound

from tests.local.vertex.clients import PARENT, Clients, outcome


def aliases(google: Clients, name: str) -> list[str]:
    return sorted(google.models.get_model(name=f"{PARENT}/models/{name}").version_aliases)


def test_the_first_version_is_the_default_and_the_next_only_if_asked(google: Clients) -> None:
    assert google.upload("counted").model_version_id == "1"
    assert google.upload("counted", more=True, aliases=["run-2"]).model_version_id == "2"
    assert aliases(google, "counted@1") == ["default"]
    assert aliases(google, "counted@run-2") == ["run-2"]
    assert google.models.get_model(name=f"{PARENT}/models/counted").version_id == "1"
    google.upload("counted", more=True, aliases=["default"])
    assert google.models.get_model(name=f"{PARENT}/models/counted").version_id == "3"
    assert aliases(google, "counted@1") == []


def test_an_alias_moves_from_version_to_version(google: Clients) -> None:
    google.upload("moved", aliases=["champion"])
    google.upload("moved", more=True)
    name = f"{PARENT}/models/moved@2"
    google.models.merge_version_aliases(name=name, version_aliases=["champion", "new"])
    assert (aliases(google, "moved@1"), aliases(google, "moved@2")) == (["default"], ["champion", "new"])
    google.models.merge_version_aliases(name=name, version_aliases=["-new"])
    assert aliases(google, "moved@2") == ["champion"]
    with pytest.raises(BadRequest):
        google.models.merge_version_aliases(name=f"{PARENT}/models/moved@1", version_aliases=["-default"])


def test_versions_and_models_are_listed_with_their_labels(google: Clients) -> None:
    for number, run in enumerate(("a", "b")):
        model = {"display_name": "listed", "labels": {"run": run}, "container_spec": {"image_uri": "serving"}}
        which = {"parent_model": f"{PARENT}/models/listed"} if number else {"model_id": "listed"}
        outcome(google.models.upload_model(request={"parent": PARENT, "model": model, **which}))
    versions = list(google.models.list_model_versions(name=f"{PARENT}/models/listed"))
    assert [(each.version_id, each.labels["run"]) for each in versions] == [("2", "b"), ("1", "a")]
    request = {"name": f"{PARENT}/models/listed", "filter": "labels.run=a"}
    assert [each.version_id for each in google.models.list_model_versions(request=request)] == ["1"]
    found = google.models.list_models(request={"parent": PARENT, "filter": 'display_name="listed"'})
    assert [(each.name, each.version_id) for each in found] == [(f"{PARENT}/models/listed", "1")]


def test_artefacts_are_a_copy_made_at_upload(google: Clients, artefact_store: str) -> None:
    google.upload("copied")
    listed = httpx.get(f"{artefact_store}/storage/v1/b/serin-local-vertex/o").json()["items"]
    copies = sorted(each["name"] for each in listed if "/copied/" in each["name"])
    place = "models/serin-local/us-central1/copied/1"
    assert copies == [f"{place}/model.onnx", f"{place}/signature.json"]


def test_an_upload_without_its_artefacts_fails(google: Clients) -> None:
    model = {"display_name": "lost", "container_spec": {"image_uri": "serving"}}
    for address, error in (("gs://artefacts/nothing", InvalidArgument), ("gs://nowhere/at-all", NotFound)):
        request = {"parent": PARENT, "model_id": "lost", "model": {**model, "artifact_uri": address}}
        with pytest.raises(error):
            outcome(google.models.upload_model(request=request))
    assert google.upload("lost").model_version_id == "3"


def test_what_google_refuses_is_refused(google: Clients) -> None:
    google.upload("refused")
    with pytest.raises(Conflict, match="already exists"):
        google.upload("refused")
    with pytest.raises(NotFound):
        google.upload("unheard-of", more=True)
    with pytest.raises(BadRequest, match="model id"):
        google.upload("1-begins-with-a-digit")
    with pytest.raises(BadRequest, match="alias"):
        google.upload("aliased", aliases=["Not_An_Alias"])
    for name in ("unheard-of", "refused@7", "refused@champion"):
        with pytest.raises(NotFound):
            google.models.get_model(name=f"{PARENT}/models/{name}")


def test_a_deployed_version_cannot_be_deleted_and_the_default_not_alone(google: Clients) -> None:
    google.upload("kept")
    google.upload("kept", more=True)
    endpoint = google.endpoint("kept").name
    outcome(google.deploy(endpoint, "1", "kept@2"))
    shown = google.models.get_model(name=f"{PARENT}/models/kept@2")
    assert [(each.endpoint, each.deployed_model_id) for each in shown.deployed_models] == [(endpoint, "1")]
    refusals: list[Callable[[], Any]] = [
        lambda: google.models.delete_model_version(name=f"{PARENT}/models/kept@1"),
        lambda: google.models.delete_model_version(name=f"{PARENT}/models/kept@2"),
        lambda: google.models.delete_model(name=f"{PARENT}/models/kept"),
    ]
    for delete in refusals:
        with pytest.raises(BadRequest) as refused:
            delete()
        assert refused.value.response.json()["error"]["status"] == "FAILED_PRECONDITION"
    outcome(google.undeploy(endpoint, "1"))
    outcome(google.models.delete_model_version(name=f"{PARENT}/models/kept@2"))
    assert google.upload("kept", more=True).model_version_id == "3"
    outcome(google.models.delete_model(name=f"{PARENT}/models/kept"))
    with pytest.raises(NotFound):
        list(google.models.list_model_versions(name=f"{PARENT}/models/kept"))


def test_errors_of_operations_keep_their_code(google: Clients) -> None:
    model = {"display_name": "coded", "container_spec": {"image_uri": "serving"}, "artifact_uri": "http://x"}
    begun = google.models.upload_model(request={"parent": PARENT, "model_id": "coded", "model": model})
    with pytest.raises((InvalidArgument, FailedPrecondition)) as failed:
        outcome(begun)
    assert failed.value.message.endswith("Not an address of Cloud Storage: http://x")
