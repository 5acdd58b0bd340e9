"""The catalogue of events: what is said between functions, each class one CloudEvent type and one topic.

A topic carries exactly one type: `TrainingRequested` is `dev.serin.training.requested.v1` on `training-requested`.
Fields that a reader does not know are accepted; missing and wrong ones are all named at once.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.evaluation import Evaluation
from shared.ids import MODEL_NAME, ModelName, RunId
from shared.scorecard import Card

MAX_LOG_LINES = 100
Percent = Annotated[int, Field(ge=0, le=100)]
_Model = Annotated[ModelName, Field(pattern=f"^{MODEL_NAME.pattern}$")]
_Run = Annotated[RunId, Field(pattern=r"^[a-z][a-z0-9-]{0,39}-[0-9]{6}$")]


class Event(BaseModel):
    """What every event of ours says: which model it is about."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    topic: ClassVar[str]

    model: _Model

    @classmethod
    def type_name(cls) -> str:
        """The CloudEvent type: `dev.serin.<subject>.<predicate>.v1`."""
        return f"dev.serin.{cls.topic.replace('-', '.')}.v1"


class RunEvent(Event):
    """What is about one run."""

    run: _Run


class TrainingRequested(Event):
    """Train on what has been waiting. Names its window, or a request that will be bound to one."""

    topic: ClassVar[str] = "training-requested"
    reason: Literal["threshold", "age", "person", "schedule", "drift", "code"]
    window: Annotated[int, Field(ge=1)] | None = None
    request: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    rows: Annotated[int, Field(ge=0)] | None = None
    by: str | None = None
    because: str | None = None


class EvaluationCompleted(RunEvent):
    """A training job has a challenger, its artefacts and how it compares."""

    topic: ClassVar[str] = "evaluation-completed"
    attempt: Annotated[int, Field(ge=1)]
    job: str
    artefacts: str
    digest: str
    evaluation: Evaluation
    began: datetime | None = None


class TrainingFailed(RunEvent):
    """A training job ended without a challenger."""

    topic: ClassVar[str] = "training-failed"
    attempt: Annotated[int, Field(ge=1)]
    job: str
    reason: str
    log: Annotated[tuple[str, ...], Field(max_length=MAX_LOG_LINES)] = ()
    permanent: bool = False
    set_aside: bool = False
    began: datetime | None = None


class DeploymentApproved(RunEvent):
    """The challenger may be staged."""

    topic: ClassVar[str] = "deployment-approved"
    artefacts: str
    digest: str
    score: Percent
    by: str
    reasons: tuple[str, ...]
    card: Card | None = None


class CostOf(BaseModel):
    """What one thing costs in dollars; null where there is no price for it."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    what: str
    dollars: float | None


class Costs(BaseModel):
    """What a yes would cost, at the list prices of a day in a region: shared/prices.toml."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    as_of: date
    region: str
    of: tuple[CostOf, ...]


class ApprovalRequested(RunEvent):
    """A person is asked, one of the approvers if any are named; without an answer the challenger is rejected."""

    topic: ClassVar[str] = "approval-requested"
    question: str = ""
    artefacts: str
    digest: str
    report: str = ""
    score: Percent
    reasons: tuple[str, ...]
    card: Card | None = None
    approvers: tuple[str, ...] = ()
    costs: Costs | None = None
    expires: datetime


class ApprovalAnswered(RunEvent):
    """A person has answered, or the time to answer is over."""

    topic: ClassVar[str] = "approval-answered"
    answer: Literal["approve", "reject", "expire"]
    by: str
    because: str


class DeploymentRejected(RunEvent):
    """The challenger goes no further."""

    topic: ClassVar[str] = "deployment-rejected"
    score: Percent
    by: str
    reasons: tuple[str, ...]
    card: Card | None = None
    set_aside: bool


class ModelStaged(RunEvent):
    """The challenger answers on the staging endpoint."""

    topic: ClassVar[str] = "model-staged"
    version: str
    artefacts: str
    endpoint: str
    deployed_model: str


class SmokePassed(RunEvent):
    """The staged challenger answers as it did in training."""

    topic: ClassVar[str] = "smoke-passed"
    version: str
    artefacts: str


class SmokeFailed(RunEvent):
    """The staged challenger does not answer as it did in training."""

    topic: ClassVar[str] = "smoke-failed"
    reasons: tuple[str, ...]


class TrafficRequested(RunEvent):
    """The candidate of a rollout is to get this share of the traffic."""

    topic: ClassVar[str] = "traffic-requested"
    rollout: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=0)]
    percent: Percent


class TrafficShifted(RunEvent):
    """The candidate of a rollout has this share of the traffic."""

    topic: ClassVar[str] = "traffic-shifted"
    rollout: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=0)]
    percent: Percent
    split: Mapping[str, int]


class EvidenceReported(RunEvent):
    """What one reporter saw of one deployment in one interval."""

    topic: ClassVar[str] = "evidence-reported"
    endpoint: str
    deployed_model: str
    reporter: Annotated[str, Field(max_length=80, pattern=r"^[A-Za-z0-9:._-]+$")]
    interval: Annotated[int, Field(ge=0)]
    report_seconds: Annotated[float, Field(gt=0)]
    requests: Annotated[int, Field(ge=0)] = 0
    errors: Annotated[int, Field(ge=0)] = 0
    client_errors: Annotated[int, Field(ge=0)] = 0
    rows: Annotated[int, Field(ge=0)] = 0
    latency: Mapping[str, int] = Field(default_factory=dict)
    labelled: Annotated[int, Field(ge=0)] = 0
    wrong: Annotated[int, Field(ge=0)] = 0
    outcomes: str | None = None
    baseline: str | None = None
    features: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    predictions: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)


class OutcomesObserved(Event):
    """What really was: up to 1,000 pairs of receipt and true label."""

    topic: ClassVar[str] = "outcomes-observed"
    batch: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    outcomes: Annotated[tuple[tuple[str, str], ...], Field(min_length=1, max_length=1000)]


class ModelPromoted(RunEvent):
    """A rollout is over: its candidate is the champion."""

    topic: ClassVar[str] = "model-promoted"
    rollout: Annotated[int, Field(ge=1)]
    version: str
    by: str


class RollbackRequested(Event):
    """A rollout is to be left; its base takes all traffic again."""

    topic: ClassVar[str] = "rollback-requested"
    rollout: Annotated[int, Field(ge=1)]
    by: str
    because: str
    set_aside: bool = False
    inconclusive: bool = False
    numbers: Mapping[str, Any] = Field(default_factory=dict)


class RolledBack(RunEvent):
    """A rollout was left."""

    topic: ClassVar[str] = "rolled-back"
    rollout: Annotated[int, Field(ge=1)]
    by: str
    because: str
    set_aside: bool
    inconclusive: bool = False
    numbers: Mapping[str, Any] = Field(default_factory=dict)


class DriftDetected(RunEvent):
    """The model in production is asked other things than it was trained on, or is right less often."""

    topic: ClassVar[str] = "drift-detected"
    columns: tuple[str, ...]
    accuracy: bool
    reasons: tuple[str, ...]
    numbers: Mapping[str, Any] = Field(default_factory=dict)


class RetirementDue(RunEvent):
    """A deployment or a version is no longer needed, or older `versions` of the model named may no longer be."""

    topic: ClassVar[str] = "retirement-due"
    what: Literal["staging", "base", "version", "versions"]
    target: str


class Notification(Event):
    """Something that people should know: what happened, why, what to do next, and where to look."""

    topic: ClassVar[str] = "notifications"
    run: _Run | None = None
    severity: Literal["info", "warning", "error"] = "info"
    title: Annotated[str, Field(max_length=200)]
    why: tuple[str, ...] = ()
    next: str | None = None
    link: Annotated[str, Field(max_length=2000)] | None = None

    @classmethod
    def type_name(cls) -> str:
        return "dev.serin.notification.posted.v1"


CATALOGUE: tuple[type[Event], ...] = (
    TrainingRequested,
    EvaluationCompleted,
    TrainingFailed,
    DeploymentApproved,
    ApprovalRequested,
    ApprovalAnswered,
    DeploymentRejected,
    ModelStaged,
    SmokePassed,
    SmokeFailed,
    TrafficRequested,
    TrafficShifted,
    EvidenceReported,
    OutcomesObserved,
    ModelPromoted,
    RollbackRequested,
    RolledBack,
    DriftDetected,
    RetirementDue,
    Notification,
)
BY_TYPE: Mapping[str, type[Event]] = {event.type_name(): event for event in CATALOGUE}
