"""The numbers by which a canary is judged, as settings: what matters, how sure is sure enough, and how long to wait."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Points = Annotated[float, Field(gt=0, lt=100)]
Percent = Annotated[float, Field(gt=0, lt=100)]


class EvidenceRules(BaseModel):
    """Margins in percentage points, times in seconds, counts of canary requests or labels."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    report_seconds: float = Field(60.0, gt=0, description="length of an interval of evidence")
    grace_intervals: int = Field(2, ge=0, description="intervals a late report is waited for")
    late_share_percent: Percent = Field(
        20.0, description="requests in late reports, of all of an arm's, beyond which evidence is not enough to go on"
    )
    wrong_margin_points: Points = Field(2.0, description="drop in accuracy that matters")
    error_margin_points: Points = Field(0.5, description="rise of the error rate that matters")
    slow_margin_points: Points = Field(
        1.0, description="share of answers beyond slow_factor times production's p99 that matters"
    )
    slow_factor: float = Field(1.25, gt=1, description="slow: beyond this multiple of production's p50 and p99")
    slow_floor_seconds: float = Field(0.02, ge=0, description="never called slow below this")
    slow_history_answers: int = Field(
        100, ge=1, description="production answers from which its p50 and p99 are taken, once and for the whole rollout"
    )
    minimum_requests: int = Field(500, ge=0, description="canary requests in a step before it is passed")
    minimum_labels: int = Field(0, ge=0, description="labelled canary predictions before any step is passed")
    labels_required: bool = Field(
        True, description="whether a step waits for evidence that accuracy has not dropped; a seen drop always counts"
    )
    minimum_seconds: float = Field(300.0, ge=0, description="shortest time of a step")
    time_limit_seconds: float = Field(86_400.0, gt=0, description="longest time without a verdict")
    silent_intervals: int = Field(
        3,
        ge=1,
        description="intervals in a row without a sign of the canary, while production has traffic, that end it",
    )
    label_starved_intervals: int = Field(
        10,
        ge=1,
        description="intervals in a row without a label of the canary, after which people are told",
    )
    false_split_alarm: float = Field(
        0.001, gt=0, lt=1, description="chance at most of ever calling an ordered split of the traffic suspect"
    )
    false_rollback_percent: Percent = Field(
        1.0, description="chance at most of ever rolling back a canary that is in nothing worse than production"
    )
    wrong_promotion_percent: Percent = Field(
        5.0, description="chance at most of ever passing a canary that is worse by one of the margins or more"
    )
