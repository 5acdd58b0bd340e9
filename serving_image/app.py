"""The container's HTTP face, as a plain ASGI application: health, predictions, one row's score."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from serving_image.account import Account
from serving_image.decoding import Asked, BadRequestError, decode, decode_row
from serving_image.model import Model
from serving_image.reporter import Identity
from shared.receipts import Receipt, issue

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, Any]


@dataclass(frozen=True)
class Routes:
    """Where Vertex AI asks."""

    health: str
    predict: str


class App:
    """Answers the requests of one deployed model and counts them."""

    def __init__(
        self, model: Model, identity: Identity, account: Account, routes: Routes, key_id: str, key: bytes
    ) -> None:
        self._model = model
        self._identity = identity
        self._account = account
        self._routes = routes
        self._key_id = key_id
        self._key = key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, answer = await self._answer(scope["method"], scope["path"], receive)
        content = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, method: str, path: str, receive: Receive) -> Answer:
        if method == "GET" and path in (self._routes.health, "/health"):
            return 200, {"status": "ok", "model": self._identity.model, "run": self._identity.run}
        if method == "POST" and path in (self._routes.predict, "/score"):
            body = await _body(receive)
            return self._counted(lambda: self._score(body) if path == "/score" else self._predict(body))
        return 404, {"error": "unknown route"}

    def _counted(self, act: Callable[[], tuple[Any, int]]) -> Answer:
        begun = time.perf_counter()
        try:
            answer, rows = act()
        except BadRequestError as bad:
            self._account.refused()
            return 400, {"error": bad.error, "rows": bad.rows}
        except Exception as error:  # the client is told nothing of the inside
            self._account.failed()
            return 500, {"error": f"internal error: {type(error).__name__}"}
        self._account.answered(time.perf_counter() - begun, rows)
        return 200, answer

    def _predict(self, body: bytes) -> tuple[Any, int]:
        asked = decode(body, self._model.signature.features)
        return {"predictions": self._predictions(asked)}, len(asked.rows)

    def _score(self, body: bytes) -> tuple[Any, int]:
        """One row, named cells in the body itself."""
        asked = decode_row(body, self._model.signature.features)
        return self._predictions(asked)[0], 1

    def _predictions(self, asked: Asked) -> list[dict[str, Any]]:
        labels = self._model.signature.labels
        first = self._account.sequences(len(asked.rows))
        predictions = []
        for offset, probabilities in enumerate(self._model.probabilities(asked.rows)):
            best = max(range(len(labels)), key=probabilities.__getitem__)
            prediction: dict[str, Any] = {
                "label": labels[best],
                "probability": probabilities[best],
                "receipt": self._receipt(first + offset, labels[best]),
            }
            if asked.wants_probabilities:
                prediction["probabilities"] = probabilities
            predictions.append(prediction)
        return predictions

    def _receipt(self, sequence: int, label: str) -> str:
        who = self._identity
        receipt = Receipt(who.model, who.run, who.deployed_model, who.reporter, sequence, label)
        return issue(self._key_id, self._key, receipt)


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
