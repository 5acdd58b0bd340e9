"""Serving containers in memory: the serving image's own application, called as its server would call it."""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_image.account import Account
from serving_image.app import App, Routes
from serving_image.model import Model, Signature
from serving_image.reporter import Identity, interval_of, report
from shared.artefacts import read_artefact
from shared.errors import Refused
from shared.ids import ModelName, RunId
from shared.step import publish
from shared.vertex import VersionOrder
from tests.world.cloud import MemoryCloud

PREDICT = "/predict"


@dataclass
class Replica:
    """One container of one deployed model."""

    app: App
    identity: Identity
    account: Account

    def predict(self, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """The predictions; Refused when the container answers with an error."""
        asked = json.dumps({"instances": list(instances), "parameters": dict(parameters)}).encode()
        status, answer = asyncio.run(_called(self.app, asked))
        if status != 200:
            raise Refused("vertex.predict", f"status {status}: {answer}")
        return list(answer["predictions"])

    def report(self, cloud: MemoryCloud) -> None:
        """Publishes what was seen since the last report."""
        number = interval_of(cloud.now().timestamp(), self.identity.report_seconds)
        publish(cloud, report(self.identity, self.account.turn(number + 1), cloud))


def replica(order: VersionOrder, endpoint: str, deployed_model: str, cloud: MemoryCloud) -> Replica:
    """A container as Vertex AI would start it for a deployed model."""
    identity = Identity(
        model=ModelName(order.variables["SERIN_MODEL"]),
        run=RunId(order.variables["SERIN_RUN"]),
        endpoint=endpoint,
        deployed_model=deployed_model,
        reporter=secrets.token_hex(4),
        report_seconds=float(order.variables["SERIN_REPORT_SECONDS"]),
    )
    files = {name: read_artefact(cloud.artefacts, order.artefacts, name) for name in ("model.onnx", "signature.json")}
    model = Model(files["model.onnx"], Signature.parse(files["signature.json"]))
    account = Account(interval_of(cloud.now().timestamp(), identity.report_seconds))
    key_id = order.variables["SERIN_RECEIPT_KEY_URI"].rsplit("/", 1)[-1]
    key = bytes.fromhex((cloud.state.read(f"keys/receipts/{key_id}") or b"").decode())
    return Replica(App(model, identity, account, Routes("/health", PREDICT), key_id, key), identity, account)


async def _called(app: App, body: bytes) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": PREDICT, "headers": []}, receive, send)
    return int(sent[0]["status"]), json.loads(b"".join(each.get("body", b"") for each in sent[1:]))
