"""Serving containers in memory: the serving image's own service, asked as its connections ask it."""

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving_image.account import Account, Interval
from serving_image.artefacts import Artefacts, Key
from serving_image.configuration import Configuration, Identity, read_configuration
from serving_image.loading import load
from serving_image.reports import report
from serving_image.service import Loaded, Service
from shared.artefacts import read_artefact
from shared.errors import Refused
from shared.step import publish
from shared.vertex import VersionOrder
from tests.world.cloud import MemoryCloud

PREDICT = "/predict"


class Asked:
    """A service whose loop turns only while it is asked, and ends its ticks by itself."""

    def __init__(self, configuration: Configuration, loaded: Loaded | None = None) -> None:
        self.due: deque[Callable[[], None]] = deque()
        self.service = Service(configuration.routes, configuration.limits, self.due.append)
        if loaded is not None:
            self.service.open(loaded)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and content of the answer to one request."""
        (answer,) = self.together([(method, path, body)])
        return answer

    def together(self, requests: Sequence[tuple[str, str, bytes]]) -> list[tuple[int, bytes]]:
        """The answers to requests that come in within one tick, in the order of the requests."""
        answers: dict[int, tuple[int, bytes]] = {}
        for number, (method, path, body) in enumerate(requests):

            def reply(status: int, _: bytes, content: bytes, number: int = number) -> None:
                assert number not in answers, "answered twice"
                answers[number] = status, content

            self.service.handle(method.encode(), path.encode(), body, reply)
        while self.due:
            self.due.popleft()()
        return [answers[number] for number in range(len(requests))]


@dataclass
class Replica:
    """One container of one deployed model."""

    asked: Asked
    identity: Identity
    account: Account
    ended: deque[Interval]

    def predict(self, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]:
        """The predictions; Refused when the container answers with an error."""
        body = json.dumps({"instances": list(instances), "parameters": dict(parameters)}).encode()
        status, content = self.asked.ask("POST", PREDICT, body)
        answer = json.loads(content)
        if status != 200:
            raise Refused("vertex.predict", f"status {status}: {answer}")
        return list(answer["predictions"])

    def report(self, cloud: MemoryCloud) -> None:
        """Publishes what was seen since the last report."""
        self.account.turn()
        while self.ended:
            publish(cloud, report(self.identity, self.ended.popleft(), cloud))


def replica(order: VersionOrder, endpoint: str, deployed_model: str, cloud: MemoryCloud) -> Replica:
    """A container as Vertex AI would start it for a deployed model."""
    set_by_vertex = {
        "AIP_STORAGE_URI": "in memory", "AIP_PREDICT_ROUTE": PREDICT, "AIP_ENDPOINT_ID": endpoint,
        "AIP_DEPLOYED_MODEL_ID": deployed_model, "GOOGLE_CLOUD_PROJECT": "in-memory",
    }  # fmt: skip
    configuration = read_configuration({**order.variables, **set_by_vertex})
    assert configuration.identity is not None
    key_id = order.variables["SERIN_RECEIPT_KEY_URI"].rsplit("/", 1)[-1]
    artefacts = Artefacts(
        read_artefact(cloud.artefacts, order.artefacts, "model.onnx"),
        read_artefact(cloud.artefacts, order.artefacts, "signature.json"),
        key=Key(key_id, bytes.fromhex((cloud.state.read(f"keys/receipts/{key_id}") or b"").decode())),
    )
    ended: deque[Interval] = deque()
    loaded = load(configuration, artefacts, ended.append, lambda: cloud.now().timestamp())
    return Replica(Asked(configuration, loaded), configuration.identity, loaded.account, ended)
