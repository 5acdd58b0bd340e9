"""The numbers of the scorecard, as settings: what counts how much is the owner's choice, not the program's.

Only the numbers live here; how they are applied is the business of the function that decides.
"""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

POINTS_TOTAL = 100


class Rubric(BaseModel):
    """The points and bounds of the scorecard; whatever the settings, the points of the five criteria add up to 100.

    Accuracies, differences and deviations are fractions (0.01 is one point of accuracy). Bounds called `above` are
    exclusive, those called `within` inclusive. Unknown keys and impossible combinations are errors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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

    quality_points_full: int = Field(default=30, ge=0, le=100, description="points for a high accuracy")
    quality_points_half: int = Field(default=20, ge=0, le=100, description="points for a fair accuracy")
    quality_full_above: float = Field(default=0.90, ge=0, le=1, description="a high accuracy exceeds this")
    quality_half_above: float = Field(default=0.80, ge=0, le=1, description="a fair accuracy exceeds this")

    deviation_points_full: int = Field(default=10, ge=0, le=100, description="points for steady folds")
    deviation_points_half: int = Field(default=5, ge=0, le=100, description="points for fairly steady folds")
    deviation_full_within: float = Field(default=0.03, ge=0, le=1, description="steady: standard deviation up to this")
    deviation_half_within: float = Field(default=0.06, ge=0, le=1, description="fairly steady: up to this")

    gap_points_full: int = Field(
        default=10, ge=0, le=100, description="points for a small gap between seen and unseen rows"
    )
    gap_points_half: int = Field(default=5, ge=0, le=100, description="points for a moderate gap")
    gap_full_within: float = Field(
        default=0.05, ge=0, le=1, description="small: train accuracy minus accuracy up to this"
    )
    gap_half_within: float = Field(default=0.10, ge=0, le=1, description="moderate: up to this")

    balance_points_full: int = Field(default=10, ge=0, le=100, description="points when accuracy and macro F1 agree")
    balance_points_half: int = Field(default=5, ge=0, le=100, description="points when they nearly agree")
    balance_full_within: float = Field(default=0.03, ge=0, le=1, description="they agree: difference up to this")
    balance_half_within: float = Field(default=0.06, ge=0, le=1, description="they nearly agree: up to this")

    majority_veto: bool = Field(
        default=True, description="reject what is not significantly better than always answering the commonest label"
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
        criteria = ("improvement", "quality", "deviation", "gap", "balance")
        full = sum(getattr(self, f"{name}_points_full") for name in criteria)
        return [
            (full != POINTS_TOTAL, f"the full points add up to {full}, not {POINTS_TOTAL}"),
            *(
                (
                    getattr(self, f"{name}_points_half") > getattr(self, f"{name}_points_full"),
                    f"{name}_points_half exceeds {name}_points_full",
                )
                for name in criteria
            ),
            (self.quality_half_above > self.quality_full_above, "quality_half_above exceeds quality_full_above"),
            *(
                (
                    getattr(self, f"{name}_full_within") > getattr(self, f"{name}_half_within"),
                    f"{name}_full_within exceeds {name}_half_within",
                )
                for name in ("deviation", "gap", "balance")
            ),
            (self.ask_from_points > self.deploy_from_points, "ask_from_points exceeds deploy_from_points"),
        ]
