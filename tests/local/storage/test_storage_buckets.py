"""Buckets through Google's client."""

from typing import Any

import httpx
import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound, PreconditionFailed


def test_a_created_bucket_can_be_read_back_with_its_labels_and_versioning(client: Any) -> None:
    new = client.bucket("models")
    new.labels = {"team": "serin"}
    new.versioning_enabled = True
    client.create_bucket(new, location="europe-west1")

    found = client.get_bucket("models")

    assert (found.labels, found.versioning_enabled, found.location) == ({"team": "serin"}, True, "EUROPE-WEST1")
    assert (found.metageneration, found.time_created is not None) == (1, True)


def test_a_bucket_name_is_given_only_once(client: Any, bucket: Any) -> None:
    with pytest.raises(Conflict):
        client.create_bucket(bucket.name)


@pytest.mark.parametrize("name", ["ab", "-abc", "abc-", "goog-things", "Data", "a..b", "a" * 64, "with space"])
def test_a_name_google_refuses_is_refused(http: httpx.Client, name: str) -> None:
    reply = http.post("/storage/v1/b", params={"project": "serin-local"}, json={"name": name})

    assert (reply.status_code, reply.json()["error"]["errors"][0]["reason"]) == (400, "invalid")


def test_a_bucket_needs_a_project(http: httpx.Client) -> None:
    assert http.post("/storage/v1/b", json={"name": "data"}).json()["error"]["message"] == "Required parameter: project"


def test_buckets_are_listed_per_project_by_prefix_and_page(client: Any) -> None:
    for name in ("data-c", "data-a", "state", "data-b"):
        client.create_bucket(name)
    client.create_bucket("data-of-another", project="another")

    listed = [bucket.name for bucket in client.list_buckets(prefix="data-", page_size=2)]

    assert listed == ["data-a", "data-b", "data-c"]


def test_a_patch_changes_what_it_names_and_removes_labels_set_to_nothing(client: Any, bucket: Any) -> None:
    bucket.labels = {"a": "1", "b": "2"}
    bucket.patch()
    del (labels := bucket.labels)["a"]
    bucket.labels = labels
    bucket.versioning_enabled = True
    bucket.patch()

    found = client.get_bucket(bucket.name)

    assert (found.labels, found.versioning_enabled, found.metageneration) == ({"b": "2"}, True, 3)


def test_a_patch_under_a_stale_metageneration_changes_nothing(client: Any, bucket: Any) -> None:
    bucket.versioning_enabled = True

    with pytest.raises(PreconditionFailed):
        bucket.patch(if_metageneration_match=7)

    assert not client.get_bucket(bucket.name).versioning_enabled


def test_only_an_empty_bucket_can_be_deleted(client: Any, bucket: Any) -> None:
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    with pytest.raises(Conflict):
        bucket.delete()

    blob.delete()
    bucket.delete()

    with pytest.raises(NotFound):
        client.get_bucket(bucket.name)


def test_a_noncurrent_object_keeps_its_bucket_from_being_deleted(bucket: Any) -> None:
    bucket.versioning_enabled = True
    bucket.patch()
    bucket.blob("x").upload_from_string(b"x")
    bucket.blob("x").delete()

    with pytest.raises(Conflict):
        bucket.delete()


def test_a_setting_that_would_have_to_act_and_does_not_is_refused(client: Any, http: httpx.Client) -> None:
    policy = {"name": "held", "retentionPolicy": {"retentionPeriod": "60"}}

    reply = http.post("/storage/v1/b", params={"project": "serin-local"}, json=policy)

    assert (reply.status_code, client.lookup_bucket("held")) == (501, None)


def test_a_setting_of_the_wrong_type_is_refused(client: Any, bucket: Any, http: httpx.Client) -> None:
    assert http.patch(f"/storage/v1/b/{bucket.name}", json={"versioning": "on"}).status_code == 400
    with pytest.raises(BadRequest):
        client.create_bucket("x")


def test_the_agent_that_publishes_notifications_has_an_address_of_its_project(client: Any) -> None:
    address = client.get_service_account_email()

    assert address.endswith("@gs-project-accounts.iam.gserviceaccount.com")
    assert address != client.get_service_account_email(project="another")
