"""The composition root: the one place that reads the environment and builds the clients of Google Cloud.

The same names are read everywhere; only their values differ between a laptop and Google Cloud:

    GOOGLE_CLOUD_PROJECT  SERIN_REGION  SERIN_DATA_BUCKET  SERIN_STATE_BUCKET  SERIN_ARTEFACTS_BUCKET
    SERIN_TRAINING_IMAGE  SERIN_SERVING_IMAGE  SERIN_TRAINING_SERVICE_ACCOUNT  SERIN_SERVING_SERVICE_ACCOUNT
    SERIN_IMAGES          (by-digest: an image that is not named by its digest is neither trained nor served)
    SERIN_BINARY_AUTHORIZATION  (default: what is made on Cloud Run runs only what the project's policy admits)
    SERIN_NOTIFY_URLS  SERIN_NOTIFY_CHANNELS  (where notices go: shared/channels.py)
    SERIN_PUSH_ACCOUNT    (the service account whose token every delivery must carry; else none is needed)
    SERIN_PUSH_AUDIENCE   (what its tokens are for; `{function}` stands for the function's name)
    SERIN_PUSH_KEYS_URL   (where their issuer shows its keys, if that is not Google)
    SERIN_LEASE_SECONDS   (a claim whose holder is silent for longer is taken over)
    SERIN_SWEEP_SECONDS   (how often reconcile looks for uploads that were never announced)
    OTEL_EXPORTER_OTLP_ENDPOINT  (where a span of every delivery goes, if anywhere; OpenTelemetry's other variables too)
    PUBSUB_EMULATOR_HOST  STORAGE_EMULATOR_HOST  SERIN_VERTEX_ENDPOINT  SERIN_RUN_ENDPOINT  SERIN_LOGGING_ENDPOINT
    GCE_METADATA_HOST     (set only where the services are local)
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from shared.bus import Bus, CloudBus
from shared.channels import Channel, channels_of
from shared.door import Door, open_door
from shared.errors import BadInput
from shared.push_token import GOOGLES_KEYS, Pusher
from shared.remembering import RememberingStore
from shared.spans import NoSpans, OtlpSpans, Spans
from shared.store import CloudStore, Store

if TYPE_CHECKING:
    from shared.jobs import TrainingBackend
    from shared.serving import ServingBackend
    from shared.vertex import Vertex

_REQUIRED = ("GOOGLE_CLOUD_PROJECT", "SERIN_DATA_BUCKET", "SERIN_STATE_BUCKET", "SERIN_ARTEFACTS_BUCKET")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Environment:
    """The settings of an installation, checked."""

    project: str
    region: str
    data_bucket: str
    state_bucket: str
    artefacts_bucket: str
    training_image: str
    serving_image: str
    lease_seconds: float
    sweep_seconds: float
    training_service_account: str | None
    serving_service_account: str | None
    vertex_endpoint: str | None
    run_endpoint: str
    storage_endpoint: str | None
    channels: tuple[Channel, ...]
    traces: bool
    logging_endpoint: str
    pusher: Pusher | None = None
    images_by_digest: bool = False
    binary_authorization: bool = False


def read_environment(variables: Mapping[str, str]) -> Environment:
    """The settings that the variables name; raises BadInput with everything that is missing or wrong."""
    reasons = [f"{name} is not set" for name in _REQUIRED if not variables.get(name)]
    lease, wrong_lease = _seconds(variables, "SERIN_LEASE_SECONDS", "60")
    sweep, wrong_sweep = _seconds(variables, "SERIN_SWEEP_SECONDS", "3600")
    channels, wrong_channels = _channels(variables)
    pusher, wrong_pusher = _pusher(variables)
    by_digest, wrong_images = _chosen(variables, "SERIN_IMAGES", "by-digest")
    admitted, wrong_admission = _chosen(variables, "SERIN_BINARY_AUTHORIZATION", "default")
    wrong_choices = (*wrong_images, *wrong_admission)
    if wrong := [*reasons, *wrong_lease, *wrong_sweep, *wrong_channels, *wrong_pusher, *wrong_choices]:
        raise BadInput("environment", wrong)
    return Environment(
        project=variables["GOOGLE_CLOUD_PROJECT"],
        region=variables.get("SERIN_REGION") or "us-central1",
        data_bucket=variables["SERIN_DATA_BUCKET"],
        state_bucket=variables["SERIN_STATE_BUCKET"],
        artefacts_bucket=variables["SERIN_ARTEFACTS_BUCKET"],
        training_image=variables.get("SERIN_TRAINING_IMAGE", ""),
        serving_image=variables.get("SERIN_SERVING_IMAGE", ""),
        lease_seconds=lease,
        sweep_seconds=sweep,
        training_service_account=variables.get("SERIN_TRAINING_SERVICE_ACCOUNT") or None,
        serving_service_account=variables.get("SERIN_SERVING_SERVICE_ACCOUNT") or None,
        vertex_endpoint=variables.get("SERIN_VERTEX_ENDPOINT") or None,
        run_endpoint=variables.get("SERIN_RUN_ENDPOINT") or "https://run.googleapis.com",
        storage_endpoint=variables.get("STORAGE_EMULATOR_HOST") or None,
        channels=channels,
        traces=bool(variables.get("OTEL_EXPORTER_OTLP_ENDPOINT")),
        logging_endpoint=variables.get("SERIN_LOGGING_ENDPOINT") or "https://logging.googleapis.com",
        pusher=pusher,
        images_by_digest=by_digest,
        binary_authorization=admitted,
    )


class Cloud(Protocol):
    """Everything of the outside world that the project touches."""

    @property
    def environment(self) -> Environment: ...
    @property
    def door(self) -> Door: ...
    @property
    def data(self) -> Store: ...
    @property
    def state(self) -> Store: ...
    @property
    def artefacts(self) -> Store: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def vertex(self) -> "Vertex": ...
    @property
    def run_services(self) -> "ServingBackend": ...
    @property
    def run_jobs(self) -> "TrainingBackend": ...
    @property
    def spans(self) -> Spans: ...
    def now(self) -> datetime: ...
    def token(self) -> str: ...


class GoogleCloud:
    """Google's own clients, built when they are first needed: importing them is most of a cold start."""

    def __init__(self, environment: Environment, door: Door = open_door) -> None:
        self.environment = environment
        self.door = door

    @cached_property
    def _storage(self) -> Any:
        # The client would ask for each bucket's metadata in the background, which needs a permission nobody has here.
        os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
        from google.cloud import storage

        return storage.Client(project=self.environment.project)

    @cached_property
    def data(self) -> Store:
        return CloudStore(self._storage, self.environment.data_bucket, self.door)

    @cached_property
    def state(self) -> Store:
        return RememberingStore(CloudStore(self._storage, self.environment.state_bucket, self.door))

    @cached_property
    def artefacts(self) -> Store:
        return CloudStore(self._storage, self.environment.artefacts_bucket, self.door)

    @cached_property
    def bus(self) -> Bus:
        from google.cloud import pubsub_v1

        # One message at a time: an event is waited for, so a batch would only add its delay.
        client = pubsub_v1.PublisherClient(batch_settings=pubsub_v1.types.BatchSettings(max_messages=1))
        return CloudBus(client, self.environment.project, self.door)

    @cached_property
    def vertex(self) -> "Vertex":
        from shared.vertex import CloudVertex

        return CloudVertex(self.environment, self.door)

    @cached_property
    def run_services(self) -> "ServingBackend":
        from shared.run_services import CloudRunServices

        return CloudRunServices(self.environment, self.door, self.vertex)

    @cached_property
    def run_jobs(self) -> "TrainingBackend":
        from shared.run_jobs import CloudRunJobs

        return CloudRunJobs(self.environment, self.door)

    @cached_property
    def spans(self) -> Spans:
        return OtlpSpans(self.door) if self.environment.traces else NoSpans()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def token(self) -> str:
        return secrets.token_hex(8)


def loopback(endpoint: str) -> bool:
    """Whether an endpoint is on this machine: the only place where anonymous credentials are used."""
    return urlsplit(endpoint).hostname in _LOOPBACK


_in_use: ContextVar[Cloud | None] = ContextVar("cloud in use", default=None)


def open_cloud() -> Cloud:
    """The outside world as the environment describes it, or the one that `using` has put in its place."""
    return _in_use.get() or _from_environment()


@contextmanager
def using(cloud: Cloud) -> Iterator[None]:
    """Puts another world in place of the environment's, for what runs inside the block."""
    before = _in_use.set(cloud)
    try:
        yield
    finally:
        _in_use.reset(before)


@cache
def _from_environment() -> Cloud:
    return GoogleCloud(read_environment(os.environ))


def _seconds(variables: Mapping[str, str], name: str, default: str) -> tuple[float, list[str]]:
    try:
        return float(variables.get(name) or default), []
    except ValueError:
        return 0.0, [f"{name} is not a number of seconds"]


def _chosen(variables: Mapping[str, str], name: str, choice: str) -> tuple[bool, list[str]]:
    """Whether the one choice that a variable offers is made; a word that is not it may not pass for a no."""
    said = variables.get(name, "")
    return said == choice, [] if said in ("", choice) else [f"{name} is neither empty nor {choice}"]


def _channels(variables: Mapping[str, str]) -> tuple[tuple[Channel, ...], Sequence[str]]:
    try:
        return channels_of(variables), ()
    except BadInput as bad:
        return (), bad.reasons


def _pusher(variables: Mapping[str, str]) -> tuple[Pusher | None, list[str]]:
    account, audience = variables.get("SERIN_PUSH_ACCOUNT", ""), variables.get("SERIN_PUSH_AUDIENCE", "")
    keys = variables.get("SERIN_PUSH_KEYS_URL") or GOOGLES_KEYS
    if not account and not audience:
        return None, []
    reasons = []
    if not account or not audience:
        reasons.append("SERIN_PUSH_ACCOUNT and SERIN_PUSH_AUDIENCE are set together or not at all")
    if not keys.startswith("https://") and not loopback(keys):
        reasons.append("SERIN_PUSH_KEYS_URL is not an https address: keys that anybody on the way can change are none")
    return Pusher(account, audience, keys), reasons
