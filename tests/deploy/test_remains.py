"""What functions made is found, listed before the question, and removed with them."""

import json

from deploy.gcloud import Answer
from deploy.plan import plan
from deploy.remains import listings, remains
from deploy.steps import Command
from deploy.table import load
from tests.deploy.deploying import TARGET

HERE = "projects/123456789012/locations/europe-west1"
FOUND = {
    "ai endpoints": [
        {"name": f"{HERE}/endpoints/77", "displayName": "serin-a", "deployedModels": [{"id": "1"}, {"id": "2"}]},
        {"name": f"{HERE}/endpoints/78", "displayName": "somebody-elses", "deployedModels": [{"id": "1"}]},
    ],
    "ai models": [
        {"name": f"{HERE}/models/a", "displayName": "a", "labels": {"serin-run": "a-000001"}},
        {"name": f"{HERE}/models/b", "displayName": "b"},
    ],
    "ai custom-jobs": [
        {"name": f"{HERE}/customJobs/1", "displayName": "serin-a-000001-1", "state": "JOB_STATE_SUCCEEDED"},
        {"name": f"{HERE}/customJobs/2", "displayName": "serin-a-000002-1", "state": "JOB_STATE_RUNNING"},
    ],
    "run services": [{"metadata": {"name": "check-rows"}}, {"metadata": {"name": "serin-a"}}],
    "run jobs": [{"metadata": {"name": "serin-a-000001-1"}}],
}


def listed(command: Command) -> Answer:
    return Answer(0, json.dumps(FOUND[" ".join(command[:2])]))


def test_what_is_ours_is_found_and_nothing_else() -> None:
    found = remains(listed, TARGET)
    assert found.unseen == ()
    assert [step.title for step in found.steps] == [
        "endpoint serin-a", "model a", "training job serin-a-000002-1", "Cloud Run service serin-a",
        "Cloud Run job serin-a-000001-1",
    ]  # fmt: skip


def test_an_endpoint_is_emptied_before_it_is_deleted_and_its_traffic_goes_with_the_last() -> None:
    (endpoint, *_) = remains(listed, TARGET).steps
    place, undeploy = "--region=europe-west1", ("ai", "endpoints", "undeploy-model", "77", "--region=europe-west1")
    assert endpoint.remove == (
        (*undeploy, "--deployed-model-id=1", "--traffic-split=2=100"),
        (*undeploy, "--deployed-model-id=2"),
        ("ai", "endpoints", "delete", "77", place),
    )


def test_what_cannot_be_looked_at_is_said_with_the_command_that_looks() -> None:
    found = remains(lambda _: Answer(1, err="PERMISSION_DENIED: no\nmore"), TARGET)
    assert (found.steps, len(found.unseen)) == ((), len(listings(TARGET)))
    assert found.unseen[0].startswith("endpoint: gcloud ai endpoints list --region=europe-west1")
    assert found.unseen[0].endswith(": PERMISSION_DENIED: no")


def test_it_goes_once_the_functions_are_gone_that_would_make_it_again() -> None:
    found = remains(listed, TARGET)
    titles = [step.title for step in reversed(plan(TARGET, load(), found.steps))]
    functions = [at for at, title in enumerate(titles) if title.startswith("function ")]
    assert max(functions) < min(titles.index(step.title) for step in found.steps)
