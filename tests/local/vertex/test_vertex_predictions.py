"""Predictions through Google's client: who answers, with what, and what happens when nobody can."""

import json
import os
import signal
from collections import Counter

import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody  # type: ignore[import-untyped]
from google.api_core.exceptions import BadRequest, GoogleAPICallError, InternalServerError, NotFound, ServiceUnavailable

from tests.local.vertex.clients import PARENT, Clients, outcome, until


@pytest.fixture(scope="module")
def served(google: Clients) -> str:
    """An endpoint with two models that share the traffic."""
    google.upload("served")
    google.upload("served", more=True)
    name: str = google.endpoint("served").name
    outcome(google.deploy(name, "11", "served@1", {"0": 100}))
    outcome(google.deploy(name, "22", "served@2", {"0": 20, "11": 80}))
    return name


@pytest.fixture
def single(google: Clients) -> str:
    """An endpoint with one model, made once."""
    try:
        google.upload("single")
    except GoogleAPICallError:
        return f"{PARENT}/endpoints/single"
    name: str = google.endpoint("single").name
    outcome(google.deploy(name, "1", "single", {"0": 100}))
    return name


def test_requests_are_drawn_by_the_split(google: Clients, served: str) -> None:
    heard = Counter(google.predict(served, 1).deployed_model_id for _ in range(200))
    assert 15 <= heard["22"] <= 70, "of 200 requests 40 are expected; the bounds are wide enough for one run in 10^6"
    assert heard["11"] + heard["22"] == 200


def test_an_answer_tells_which_version_it_comes_from(google: Clients, single: str) -> None:
    answer = google.predict(single, 1, 2)
    assert [each[0] for each in answer.predictions] == ["1", "1"]
    assert answer.predictions[0][1] == "gs://serin-local-vertex/models/serin-local/us-central1/single/1"
    told = (answer.deployed_model_id, answer.model, answer.model_version_id, answer.model_display_name)
    assert told == ("1", f"{PARENT}/models/single", "1", "single")


def test_the_container_gets_the_request_as_it_was_sent(google: Clients, single: str) -> None:
    sent = '{"instances": ["repeat", 1, 1.0, 1e5, 12345678901234567890], "parameters": {"probabilities": true}}'
    answer = httpx.post(f"{google.url}/v1/{single}:predict", content=sent)
    assert answer.json()["predictions"] == [sent]


@pytest.mark.parametrize(
    ("row", "error", "words"), [("bad", BadRequest, "a bad row"), ("broken", InternalServerError, "it broke")]
)
def test_a_containers_refusal_is_passed_on_in_googles_form(
    google: Clients, single: str, row: str, error: type[GoogleAPICallError], words: str
) -> None:
    with pytest.raises(error, match=words):
        google.predict(single, row)


def test_an_answer_that_is_no_prediction_is_an_error(google: Clients, single: str) -> None:
    with pytest.raises(InternalServerError, match="predictions"):
        google.predict(single, "nonsense")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "Invalid JSON"),
        (b"[]", "Root element"),
        (b"{}", "instances"),
        (b'{"instances": 1}', "instances"),
        (b'{"instances": [NaN]}', "Invalid JSON"),
        (b'{"instances": [], "extra": 1}', 'Unknown name "extra"'),
        (b'{"instances": ["' + b"x" * 1_500_000 + b'"]}', "exceeds the limit"),
    ],
)
def test_a_request_that_google_refuses_does_not_reach_the_container(
    google: Clients, single: str, body: bytes, words: str
) -> None:
    answer = httpx.post(f"{google.url}/v1/{single}:predict", content=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.json()["error"]["message"]


def test_raw_predictions_pass_any_body_both_ways(google: Clients, single: str) -> None:
    url = f"{google.url}/v1/{single}:rawPredict"
    answer = httpx.post(url, content=b"any words", headers={"Content-Type": "text/plain"})
    assert (answer.text, answer.headers["content-type"]) == ("ANY WORDS", "text/plain")
    assert answer.headers["X-Vertex-AI-Deployed-Model-Id"] == "1"
    assert answer.headers["X-Vertex-AI-Model-Version-Id"] == "1"
    body = HttpBody(data=json.dumps({"instances": [1]}).encode(), content_type="application/json")
    through_google = google.predictions.raw_predict(endpoint=single, http_body=body)
    assert json.loads(through_google.data)["predictions"][0][0] == "1"


def test_an_endpoint_that_does_not_exist_is_not_found(google: Clients) -> None:
    with pytest.raises(NotFound):
        google.predict(f"{PARENT}/endpoints/nowhere", 1)


def test_a_killed_container_is_unavailable_and_then_there_again(google: Clients, single: str) -> None:
    killed = int(google.predict(single, 1).predictions[0][2])
    os.kill(killed, signal.SIGKILL)

    def answered() -> int | None:
        try:
            return int(google.predict(single, 1).predictions[0][2])
        except ServiceUnavailable:
            return None

    assert until(answered, seconds=5.0) != killed
