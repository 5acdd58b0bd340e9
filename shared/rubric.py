"""The numbers of the scorecard, as settings: what counts how much is the owner's choice, not the program's.

Only the numbers live here; how they are applied is the business of the function that decides.
"""

from __future__ import annotations

import hashlib
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

POINTS_TOTAL = 100
_CRITERIA = ("improvement", "quality", "deviation", "gap", "evenness")
PrimaryMetric = Literal[
    "", "accuracy", "balanced_accuracy", "macro_f1", "log_loss", "roc_auc", "calibration_error", "mae", "rmse", "r2"
]


class Rubric(BaseModel):
    """The points and bounds of the scorecard; whatever the settings, the points of the five criteria add up to 100.

    Scores, differences and deviations are fractions: 0.01 is one point of accuracy, or 1 % of the rival's error. Bounds
    called `above` are exclusive, those called `within` inclusive. Unknown keys and impossible combinations are errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: int = Field(default=1, ge=1, description="the owner's number of this rubric, told on every card")
    primary: PrimaryMetric = Field(
        default="", description="the metric that decides; empty: accuracy, or the mean absolute error (mae)"
    )

    improvement_points_full: int = Field(
        default=40, ge=0, le=100, description="points for a clear improvement over production"
    )
    improvement_points_half: int = Field(default=20, ge=0, le=100, description="points for a probable improvement")
    improvement_full_above: float = Field(
        default=0.01, ge=0, le=1, description="a clear improvement exceeds this, and its interval lies above zero"
    )
    improvement_half_low_above: float = Field(
        default=-0.01,
        ge=-1,
        le=0,
        description="a probable improvement exceeds zero, its interval's lower end exceeds this",
    )

    quality_points_full: int = Field(default=30, ge=0, le=100, description="points for a high accuracy, or R²")
    quality_points_half: int = Field(default=20, ge=0, le=100, description="points for a fair accuracy, or R²")
    quality_full_above: float = Field(default=0.90, ge=0, le=1, description="a high accuracy exceeds this")
    quality_half_above: float = Field(default=0.80, ge=0, le=1, description="a fair accuracy exceeds this")
    r2_full_above: float = Field(default=0.75, ge=0, le=1, description="a high R² exceeds this")
    r2_half_above: float = Field(default=0.50, ge=0, le=1, description="a fair R² exceeds this")

    deviation_points_full: int = Field(default=10, ge=0, le=100, description="points for steady folds")
    deviation_points_half: int = Field(default=5, ge=0, le=100, description="points for fairly steady folds")
    deviation_full_within: float = Field(default=0.03, ge=0, le=1, description="steady: standard deviation up to this")
    deviation_half_within: float = Field(default=0.06, ge=0, le=1, description="fairly steady: up to this")

    gap_points_full: int = Field(
        default=10, ge=0, le=100, description="points for a small gap between seen and unseen rows"
    )
    gap_points_half: int = Field(default=5, ge=0, le=100, description="points for a moderate gap")
    gap_full_within: float = Field(
        default=0.05, ge=0, le=1, description="small: score on seen minus on unseen rows up to this"
    )
    gap_half_within: float = Field(default=0.10, ge=0, le=1, description="moderate: up to this")

    evenness_points_full: int = Field(
        default=10, ge=0, le=100, description="points for doing well on every label, or on the typical row"
    )
    evenness_points_half: int = Field(default=5, ge=0, le=100, description="points for doing fairly well there")
    macro_f1_full_above: float = Field(default=0.85, ge=0, le=1, description="well on every label: macro F1 above this")
    macro_f1_half_above: float = Field(default=0.70, ge=0, le=1, description="fairly well: macro F1 above this")
    typical_error_full_within: float = Field(
        default=0.5, ge=0, description="well on the typical row: MAE as a share of the mean's up to this"
    )
    typical_error_half_within: float = Field(default=0.8, ge=0, description="fairly well: up to this")

    baseline_veto: bool = Field(
        default=True, description="reject what is not significantly better than always giving the same answer"
    )
    slice_loss_veto_above: float = Field(
        default=0.05, ge=0, description="reject what is significantly worse in any slice, and by more than this"
    )
    group_gap_veto_above: float = Field(
        default=0.10, ge=0, description="reject what serves two groups significantly differently, and by more than this"
    )

    deploy_from_points: int = Field(default=70, ge=0, le=100, description="deploy without asking from this total")
    ask_from_points: int = Field(default=50, ge=0, le=100, description="ask a person from this total; below it, reject")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = [problem for wrong, problem in self._checks() if wrong]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _checks(self) -> list[tuple[bool, str]]:
        full = sum(getattr(self, f"{name}_points_full") for name in _CRITERIA)
        return [
            (full != POINTS_TOTAL, f"the full points add up to {full}, not {POINTS_TOTAL}"),
            *(self._exceeds(f"{name}_points_half", f"{name}_points_full") for name in _CRITERIA),
            *(self._exceeds(f"{name}_half_above", f"{name}_full_above") for name in ("quality", "r2", "macro_f1")),
            *(
                self._exceeds(f"{name}_full_within", f"{name}_half_within")
                for name in ("deviation", "gap", "typical_error")
            ),
            self._exceeds("ask_from_points", "deploy_from_points"),
        ]

    def _exceeds(self, one: str, other: str) -> tuple[bool, str]:
        return getattr(self, one) > getattr(self, other), f"{one} exceeds {other}"

    @property
    def digest(self) -> str:
        """The same for equal rubrics only, whatever version their owner calls them."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
