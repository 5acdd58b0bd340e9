"""Who hears what: the one table that the local cloud, the deployment and the documentation are made from."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.events import (
    CATALOGUE,
    ApprovalAnswered,
    ApprovalRequested,
    DeploymentApproved,
    DeploymentRejected,
    DriftDetected,
    EvaluationCompleted,
    Event,
    EvidenceReported,
    ModelPromoted,
    ModelStaged,
    Notification,
    OutcomesObserved,
    RetirementDue,
    RollbackRequested,
    RolledBack,
    SmokeFailed,
    SmokePassed,
    TrafficRequested,
    TrafficShifted,
    TrainingFailed,
    TrainingRequested,
)
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED, DEAD_LETTERS

# Wide enough for reading a big upload; everything else answers within seconds.
ACK_DEADLINE_SECONDS = 600
# With backoff from 10 s to 600 s this outlives an outage of about two hours.
MAX_DELIVERY_ATTEMPTS = 20
RETRY_MIN_SECONDS = 10.0
RETRY_MAX_SECONDS = 600.0


@dataclass(frozen=True)
class Subscription:
    """One function's push subscription to one topic; `filter` is in Pub/Sub's own grammar."""

    function: str
    topic: str
    filter: str = ""

    @property
    def name(self) -> str:
        return f"{self.function}.{self.topic}"


def _objects(prefix: str) -> str:
    return f'attributes.eventType = "OBJECT_FINALIZE" AND hasPrefix(attributes.objectId, "{prefix}")'


TOPICS: tuple[str, ...] = (DATA_UPLOADED, CLOCK_TICKED, DEAD_LETTERS, *(event.topic for event in CATALOGUE))

SUBSCRIPTIONS: tuple[Subscription, ...] = (
    Subscription("check_rows", DATA_UPLOADED, _objects("data/")),
    Subscription("check_settings", DATA_UPLOADED, _objects("settings/")),
    Subscription("score_batch", DATA_UPLOADED, _objects("score/")),
    Subscription("launch_training", TrainingRequested.topic),
    Subscription("launch_training", TrainingFailed.topic),
    Subscription("decide_deployment", EvaluationCompleted.topic),
    Subscription("record_approval", ApprovalAnswered.topic),
    Subscription("stage_model", DeploymentApproved.topic),
    Subscription("smoke_test", ModelStaged.topic),
    Subscription("deploy_canary", SmokePassed.topic),
    Subscription("shift_traffic", TrafficRequested.topic),
    Subscription("monitor_canary", TrafficShifted.topic),
    Subscription("monitor_canary", EvidenceReported.topic),
    Subscription("detect_drift", EvidenceReported.topic),
    Subscription("record_outcomes", OutcomesObserved.topic),
    Subscription("roll_back", RollbackRequested.topic),
    Subscription("retire_model", RetirementDue.topic),
    Subscription("reconcile", CLOCK_TICKED),
    Subscription("notify", Notification.topic),
    Subscription("record_dead_letter", DEAD_LETTERS),
)

FUNCTIONS: tuple[str, ...] = tuple(dict.fromkeys(subscription.function for subscription in SUBSCRIPTIONS))

# What says something besides notices, which every function may publish. Reconcile says again what others have said.
PUBLISHES: Mapping[str, tuple[type[Event], ...]] = {
    "check_rows": (TrainingRequested,),
    "decide_deployment": (ApprovalRequested, DeploymentApproved, DeploymentRejected),
    "deploy_canary": (ModelPromoted, RetirementDue, TrafficRequested),
    "detect_drift": (DriftDetected, TrainingRequested),
    "monitor_canary": (ModelPromoted, RetirementDue, RollbackRequested, RolledBack, TrafficRequested),
    "reconcile": (
        ApprovalAnswered, DeploymentApproved, DeploymentRejected, EvaluationCompleted, ModelStaged, RetirementDue,
        RollbackRequested, RolledBack, SmokeFailed, SmokePassed, TrafficRequested, TrafficShifted, TrainingFailed,
        TrainingRequested,
    ),
    "record_approval": (DeploymentApproved, DeploymentRejected),
    "record_outcomes": (EvidenceReported,),
    "roll_back": (ModelPromoted, RetirementDue, RolledBack, TrafficRequested),
    "shift_traffic": (RollbackRequested, TrafficShifted),
    "smoke_test": (RetirementDue, SmokeFailed, SmokePassed),
    "stage_model": (ModelStaged, RetirementDue),
}  # fmt: skip
# Who announces objects of the data bucket once more, as the bucket itself would.
ANNOUNCES = frozenset({"reconcile"})


def may_publish(function: str) -> tuple[str, ...]:
    """The topics that a function may publish on, sorted: people are told by everybody."""
    events = {event.topic for event in PUBLISHES.get(function, ())}
    return tuple(sorted({Notification.topic, *events, *((DATA_UPLOADED,) if function in ANNOUNCES else ())}))


READS_DATA = frozenset(
    {"check_rows", "check_settings", "detect_drift", "launch_training", "reconcile", "record_outcomes", "score_batch"}
)
READS_ARTEFACTS = frozenset({"detect_drift", "reconcile", "score_batch", "smoke_test", "stage_model"})
WRITES_ARTEFACTS = frozenset({"score_batch"})
# What each function asks of Vertex AI, by the names of the effects; nobody else asks it anything.
VERTEX: Mapping[str, frozenset[str]] = {
    "deploy_canary": frozenset(
        {
            "vertex.create_endpoint", "vertex.deploy", "vertex.get_endpoint", "vertex.get_operation",
            "vertex.get_version", "vertex.undeploy",
        }
    ),
    "launch_training": frozenset({"vertex.cancel_job", "vertex.create_job", "vertex.list_jobs"}),
    "reconcile": frozenset(
        {
            "logging.list", "vertex.cancel_job", "vertex.get_batch_job", "vertex.get_endpoint", "vertex.get_job",
            "vertex.list_jobs",
        }
    ),
    "retire_model": frozenset(
        {
            "vertex.delete_version", "vertex.get_endpoint", "vertex.list_versions", "vertex.make_default",
            "vertex.set_split", "vertex.undeploy",
        }
    ),
    "roll_back": frozenset(
        {
            "vertex.deploy", "vertex.get_endpoint", "vertex.get_operation", "vertex.get_version", "vertex.set_split",
            "vertex.undeploy",
        }
    ),
    "score_batch": frozenset(
        {"vertex.cancel_batch_job", "vertex.create_batch_job", "vertex.get_batch_job", "vertex.list_batch_jobs"}
    ),
    "shift_traffic": frozenset({"vertex.get_endpoint", "vertex.set_split"}),
    "smoke_test": frozenset({"vertex.predict"}),
    "stage_model": frozenset(
        {
            "vertex.create_endpoint", "vertex.deploy", "vertex.get_endpoint", "vertex.get_operation",
            "vertex.get_version", "vertex.list_versions", "vertex.upload",
        }
    ),
}  # fmt: skip
# What each function does on Cloud Run, for a model that is served or trained there; batches are scored on Vertex AI.
CLOUD_RUN: Mapping[str, frozenset[str]] = {
    "deploy_canary": frozenset(
        {
            "run.create_service", "run.delete_service", "run.deploy", "run.get_operation", "run.get_service",
            "run.undeploy",
        }
    ),
    "launch_training": frozenset({"run.create_job", "run.delete_job", "run.get_job", "run.list_jobs"}),
    "reconcile": frozenset({"logging.list", "run.get_execution", "run.get_job", "run.get_service"}),
    "retire_model": frozenset({"run.delete_service", "run.get_service", "run.set_split", "run.undeploy"}),
    "roll_back": frozenset(
        {
            "run.delete_service", "run.deploy", "run.get_operation", "run.get_service", "run.set_split",
            "run.undeploy",
        }
    ),
    "shift_traffic": frozenset({"run.get_service", "run.set_split"}),
    "smoke_test": frozenset({"run.get_service", "run.identity", "run.predict"}),
    "stage_model": frozenset({"run.create_service", "run.deploy", "run.get_operation", "run.get_service"}),
}  # fmt: skip
STARTS_JOBS = frozenset(name for name, calls in VERTEX.items() if "vertex.create_job" in calls)
# Reading a big upload holds many rows at once; the Vertex AI client alone needs more than 256 MiB.
_READS_ROWS_MEBIBYTES = {"check_rows": 2048, "score_batch": 1024}
MEMORY_MEBIBYTES: Mapping[str, int] = {name: _READS_ROWS_MEBIBYTES.get(name, 512) for name in FUNCTIONS}
FUNCTION_TIMEOUT_SECONDS = 540


@dataclass(frozen=True)
class Metric:
    """A measure made from the lines that functions log: how many there are, or the distribution of a field's values."""

    name: str
    help: str
    where: Mapping[str, str]
    labels: tuple[str, ...] = ()
    value: str | None = None


_HANDLED = {"message": "handled"}
METRICS: tuple[Metric, ...] = (
    Metric(
        "serin_deliveries", "deliveries by how they ended: done, refused, untrusted, later, failed (these come again)",
        _HANDLED, ("function", "outcome"),
    ),
    Metric("serin_handling_seconds", "time that a function took", _HANDLED, ("function",), "seconds"),
    Metric("serin_lag_seconds", "age of an event when it was delivered", _HANDLED, ("function",), "lag_seconds"),
    Metric(
        "serin_drop_to_live_seconds", "time from the drop of a run's last file until its model answers everything",
        {"message": "live"}, (), "seconds_from_drop",
    ),
    Metric("serin_dead_letters", "messages given up", {**_HANDLED, "function": "record_dead_letter"}),
)  # fmt: skip
TICK_SCHEDULE = "* * * * *"
