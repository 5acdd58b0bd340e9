"""Predictions: checked, drawn by the traffic split, passed to a serving container, and its answer passed back.

The container gets the request as it came: a number stays the number that was sent.
"""

import json
from typing import NoReturn

from starlette.responses import Response

from local.errors import CloudError, Status, status_of_http
from local.fields import Document
from local.rest import decoded
from local.vertex.endpoints import Arm, Endpoints
from local.vertex.http_client import Answer

MAX_REQUEST_BYTES = 1_500_000  # of a shared public endpoint
_ANSWER_SECONDS = 60.0
_MAX_ERROR_CHARACTERS = 8_000
_FIELDS = frozenset({"instances", "parameters", "labels"})
_JSON = "application/json"


class Predictions:
    """The prediction service of every endpoint."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    async def predict(self, endpoint: str, body: bytes) -> Response:
        """`{"instances", "parameters"}` in, `{"predictions"}` and who answered out."""
        arm = self._endpoints.drawn(endpoint)
        answer = await arm.replica.predict(_checked(body), _JSON, _ANSWER_SECONDS)
        if answer.status != 200:
            _refuse(answer)
        return Response(json.dumps(_predictions(answer, arm), separators=(",", ":")), media_type=_JSON)

    async def raw_predict(self, endpoint: str, body: bytes, content_type: str) -> Response:
        """Any body in, the container's own out; who answered stands in the headers."""
        arm = self._endpoints.drawn(endpoint)
        answer = await arm.replica.predict(body, content_type, _ANSWER_SECONDS)
        if answer.status != 200:
            _refuse(answer)
        headers = {
            "X-Vertex-AI-Endpoint-Id": endpoint.rsplit("/", 1)[-1],
            "X-Vertex-AI-Deployed-Model-Id": arm.told["deployedModelId"],
            "X-Vertex-AI-Model": arm.told["model"],
            "X-Vertex-AI-Model-Version-Id": arm.told["modelVersionId"],
            "X-Vertex-AI-Model-Display-Name": arm.told["modelDisplayName"],
            "Content-Type": answer.headers.get("content-type", "application/octet-stream"),
        }
        return Response(answer.body, headers=headers)


def _checked(body: bytes) -> bytes:
    request = decoded(body)
    if unknown := sorted(set(request) - _FIELDS):
        told = f'Invalid JSON payload received. Unknown name "{unknown[0][:100]}": Cannot find field.'
        raise CloudError(Status.INVALID_ARGUMENT, told)
    if not isinstance(request.get("instances"), list):
        raise CloudError(Status.INVALID_ARGUMENT, "The request has no list of instances.")
    return body


def _predictions(answer: Answer, arm: Arm) -> Document:
    try:
        found = json.loads(answer.body)
        return {"predictions": found["predictions"], **arm.told}
    except (ValueError, TypeError, KeyError) as error:
        message = "The deployed model's answer is not a JSON object with predictions."
        raise CloudError(Status.INTERNAL, message) from error


def _refuse(answer: Answer) -> NoReturn:
    """The container's refusal in Google's form, its own words as the message."""
    message = answer.body.decode(errors="replace")[:_MAX_ERROR_CHARACTERS]
    raise CloudError(status_of_http(answer.status), message, http_code=answer.status)
