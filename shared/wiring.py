"""Who hears what: the one table that the local cloud, the deployment and the documentation are made from."""

from dataclasses import dataclass

from shared.events import (
    CATALOGUE,
    ApprovalAnswered,
    DeploymentApproved,
    EvaluationCompleted,
    EvidenceReported,
    ModelStaged,
    Notification,
    OutcomesObserved,
    RetirementDue,
    RollbackRequested,
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
    Subscription("record_outcomes", OutcomesObserved.topic),
    Subscription("roll_back", RollbackRequested.topic),
    Subscription("retire_model", RetirementDue.topic),
    Subscription("reconcile", CLOCK_TICKED),
    Subscription("notify", Notification.topic),
    Subscription("record_dead_letter", DEAD_LETTERS),
)

FUNCTIONS: tuple[str, ...] = tuple(dict.fromkeys(subscription.function for subscription in SUBSCRIPTIONS))
