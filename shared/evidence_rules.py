"""The numbers by which a canary is judged, as settings."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Points = Annotated[float, Field(gt=0, lt=100)]


class EvidenceRules(BaseModel):
    """Margins in percentage points, times in seconds, counts of canary requests or labels."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    report_seconds: float = Field(60.0, gt=0, description="length of an interval of evidence")
    grace_intervals: int = Field(2, ge=0, description="intervals a late report is waited for")
    wrong_margin_points: Points = Field(2.0, description="drop in accuracy that matters")
    error_margin_points: Points = Field(0.5, description="rise of the error rate that matters")
    slow_margin_points: Points = Field(1.0, description="rise of the share of slow answers that matters")
    slow_factor: float = Field(1.25, gt=1, description="slow: beyond this multiple of production's p50 and p99")
    slow_floor_seconds: float = Field(0.02, ge=0, description="never called slow below this")
    minimum_requests: int = Field(500, ge=0, description="canary requests before any promotion")
    minimum_labels: int = Field(0, ge=0, description="labelled canary predictions before any promotion")
    minimum_seconds: float = Field(300.0, ge=0, description="shortest time of a step")
    time_limit_seconds: float = Field(86_400.0, gt=0, description="longest time without a verdict")
    silent_intervals: int = Field(3, ge=1, description="intervals without a canary request that end the rollout")
