"""What the container is told by its environment, read once and checked; all problems are named together.

AIP_STORAGE_URI or ARTIFACTS_DIR            where the artefacts are: gs://… or a folder
AIP_HTTP_PORT or PORT, AIP_HEALTH_ROUTE, AIP_PREDICT_ROUTE, SERIN_HOST             where we are asked
MODEL_VERSION                               what the model is called; else SERIN_RUN, else its signature's run
SERIN_MODEL, with SERIN_RUN, SERIN_RECEIPT_KEY_URI, GOOGLE_CLOUD_PROJECT
                                            set with a version: where it is deployed, receipts are issued and evidence
                                            reported, as
                                            AIP_DEPLOYED_MODEL_ID of AIP_ENDPOINT_ID, or on Cloud Run
                                            K_REVISION of K_SERVICE; a batch prediction job has none of the four
SERIN_REPORT_SECONDS                        length of an interval of evidence
SERIN_MAX_BODY_BYTES, SERIN_MAX_ROWS, SERIN_MAX_REQUESTS, SERIN_MAX_CONNECTIONS, SERIN_TIMEOUT_SECONDS        the limits
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import BadInput
from shared.ids import ModelName, RunId

_DEPLOYED = ("SERIN_RUN", "SERIN_RECEIPT_KEY_URI", "GOOGLE_CLOUD_PROJECT")
_DEPLOYMENTS = ("AIP_ENDPOINT_ID", "AIP_DEPLOYED_MODEL_ID", "K_SERVICE", "K_REVISION")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Identity:
    """Who reports and issues receipts: one life of one process of one deployed model."""

    model: ModelName
    run: RunId
    endpoint: str
    deployed_model: str
    reporter: str
    report_seconds: float


@dataclass(frozen=True)
class Routes:
    """Where Vertex AI asks."""

    health: str
    predict: str


@dataclass(frozen=True)
class Limits:
    """How much is taken on at once; what is beyond is refused with a reason, never queued without end."""

    body_bytes: int = 1_500_000
    """What a shared Vertex AI endpoint passes on."""
    rows: int = 5_000
    """Of one request."""
    requests: int = 1_000
    """Accepted and not yet answered, all callers together."""
    connections: int = 4_096
    timeout_seconds: float = 30.0
    """For a request to come in whole, and then for its answer."""


@dataclass(frozen=True)
class Configuration:
    """Everything that differs from one container to the next; `identity` is None where nobody collects evidence."""

    artefacts: str
    receipt_key: str | None
    identity: Identity | None
    routes: Routes
    limits: Limits
    host: str
    port: int
    model_version: str | None


def read_configuration(variables: Mapping[str, str]) -> Configuration:
    """The configuration in the variables; raises BadInput with every reason why there is none."""
    reading = _Reading(variables)
    artefacts = reading.first("AIP_STORAGE_URI", "ARTIFACTS_DIR")
    identity = _identity(reading) if variables.get("SERIN_MODEL") and _is_deployed(variables) else None
    limits = _limits(reading)
    port = int(reading.number("AIP_HTTP_PORT" if variables.get("AIP_HTTP_PORT") else "PORT", 8080))
    if reading.reasons:
        raise BadInput("environment", reading.reasons)
    return Configuration(
        artefacts=artefacts,
        receipt_key=variables["SERIN_RECEIPT_KEY_URI"] if identity else None,
        identity=identity,
        routes=Routes(variables.get("AIP_HEALTH_ROUTE") or "/health", variables.get("AIP_PREDICT_ROUTE") or "/predict"),
        limits=limits,
        host=variables.get("SERIN_HOST") or _host(variables),
        port=port,
        model_version=variables.get("MODEL_VERSION") or variables.get("SERIN_RUN") or None,
    )


class _Reading:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.reasons: list[str] = []

    def first(self, *names: str) -> str:
        found = next((value for name in names if (value := self.variables.get(name))), "")
        if not found:
            self.reasons.append(f"{' or '.join(names)} is not set")
        return found

    def number(self, name: str, default: float) -> float:
        try:
            number = float(self.variables.get(name) or default)
        except ValueError:
            number = 0.0
        if not number > 0 or number == float("inf"):
            self.reasons.append(f"{name} is not a number above 0")
            return default
        return number


def _is_deployed(variables: Mapping[str, str]) -> bool:
    """Whether there is a deployment whose evidence counts; what a batch prediction job answers is none."""
    return any(variables.get(name) for name in _DEPLOYMENTS)


def _identity(reading: _Reading) -> Identity:
    reading.reasons += [f"{name} is not set, though SERIN_MODEL is" for name in _DEPLOYED if name not in _set(reading)]
    return Identity(
        model=ModelName(reading.variables["SERIN_MODEL"]),
        run=RunId(reading.variables.get("SERIN_RUN", "")),
        endpoint=reading.first("AIP_ENDPOINT_ID", "K_SERVICE"),
        deployed_model=reading.first("AIP_DEPLOYED_MODEL_ID", "K_REVISION"),
        reporter=secrets.token_hex(4),
        report_seconds=reading.number("SERIN_REPORT_SECONDS", 60.0),
    )


def _limits(reading: _Reading) -> Limits:
    usual = Limits()
    return Limits(
        body_bytes=int(reading.number("SERIN_MAX_BODY_BYTES", usual.body_bytes)),
        rows=int(reading.number("SERIN_MAX_ROWS", usual.rows)),
        requests=int(reading.number("SERIN_MAX_REQUESTS", usual.requests)),
        connections=int(reading.number("SERIN_MAX_CONNECTIONS", usual.connections)),
        timeout_seconds=reading.number("SERIN_TIMEOUT_SECONDS", usual.timeout_seconds),
    )


def _set(reading: _Reading) -> set[str]:
    return {name for name, value in reading.variables.items() if value}


def _host(variables: Mapping[str, str]) -> str:
    """Everybody may ask a container that a platform has started; on a machine of one's own, only that machine."""
    storage = urlsplit(variables.get("STORAGE_EMULATOR_HOST", "")).hostname
    hosted = (variables.get("AIP_HTTP_PORT") or variables.get("K_SERVICE")) and storage not in _LOOPBACK
    return "0.0.0.0" if hosted else "127.0.0.1"
