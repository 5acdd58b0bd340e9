"""No request makes the local Vertex AI fail, and the right ones mixed in are still answered right."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api_core.exceptions import GoogleAPICallError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.fuzzing import EXAMPLES, JSON, TOKENS, check_answer
from tests.local.vertex.clients import PARENT, Clients, outcome

ENDPOINT, MODEL = f"{PARENT}/endpoints/fuzzed", f"{PARENT}/models/fuzzed"
PATHS = st.sampled_from(
    [f"{PARENT}/customJobs", f"{PARENT}/customJobs/1", f"{PARENT}/customJobs/1:cancel", f"{PARENT}/models",
     f"{PARENT}/models:upload", MODEL, f"{MODEL}@1", f"{MODEL}:mergeVersionAliases", f"{MODEL}@1:deleteVersion",
     f"{MODEL}:listVersions", f"{PARENT}/endpoints", ENDPOINT, f"{ENDPOINT}:deployModel", f"{ENDPOINT}:undeployModel",
     f"{ENDPOINT}:predict", f"{ENDPOINT}:rawPredict", f"{PARENT}/operations/1", f"{ENDPOINT}/operations"]
)  # fmt: skip
_FIELDS = """name displayName labels jobSpec workerPoolSpecs containerSpec imageUri args env scheduling timeout model id
artifactUri versionAliases parentModel modelId deployedModel deployedModelId trafficSplit dedicatedResources etag
minReplicaCount instances parameters healthRoute predictRoute ports"""
FIELDS = st.sampled_from(_FIELDS.split())
INNER = (
    JSON | st.dictionaries(FIELDS, JSON, max_size=3) | st.lists(st.dictionaries(FIELDS, JSON, max_size=2), max_size=2)
)
BODIES = st.dictionaries(FIELDS, INNER | st.dictionaries(FIELDS, INNER, max_size=3), max_size=4)
QUERIES = st.dictionaries(
    st.sampled_from(["pageSize", "pageToken", "filter", "updateMask", "endpointId", "orderBy", "$alt"]),
    TOKENS,
    max_size=2,
)


@pytest.fixture(scope="module")
def served(google: Clients) -> str:
    """An endpoint with a model that the fuzzer's own does not share."""
    google.upload("unharmed")
    name: str = google.endpoint("unharmed").name
    outcome(google.deploy(name, "1", "unharmed", {"0": 100}))
    return name


@pytest.fixture(scope="module")
def wire(google: Clients) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=google.url, verify=False, timeout=20) as http:
        yield http


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["GET", "POST", "PATCH", "PUT", "DELETE"]), path=PATHS, body=BODIES, query=QUERIES)
def test_no_request_finds_an_internal_error_and_a_right_one_is_still_answered(
    google: Clients,
    served: str,
    wire: httpx.Client,
    method: str,
    path: str,
    body: dict[str, Any],
    query: dict[str, str],
) -> None:
    check_answer(wire.request(method, f"/v1/{path}", json=body, params=query))
    assert google.predict(served, 1).deployed_model_id == "1"
    assert dict(google.endpoints.get_endpoint(name=served).traffic_split) == {"1": 100}
    with pytest.raises(GoogleAPICallError):
        google.shift(served, {"1": 99})
