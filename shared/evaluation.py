"""What a training job says about its challenger: the one value that travels to the decision and into the ledger.

It is numbers and names only, so that the decision can be repeated from the record alone, years later, without the rows.
"""

from __future__ import annotations

import math
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

EVALUATION_LIMIT_BYTES = 64 * 1024
"""The whole evaluation rides inside one event, and the event into one ledger record: both stay small."""


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


# JSON has no NaN: what could not be computed is none, or simply absent, before and after the journey.
Fraction = Annotated[float | None, BeforeValidator(_none_for_nan)]


class Frozen(BaseModel):
    """A value that cannot change; unknown fields of a later version are ignored, infinite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Candidate(Frozen):
    """One algorithm that was tried, with its cross-validated accuracy per fold over all training rows."""

    name: str
    fold_accuracies: tuple[Fraction, ...]
    accuracy: Fraction = None


class ChallengerScores(Frozen):
    """How the chosen candidate did on the judged rows, each row answered by a fit that had not seen it.

    `train_accuracy` is that of the final model, which has seen them, on the very same rows: their distance is what the
    model learnt by heart.
    """

    accuracy: Fraction = None
    macro_f1: Fraction = None
    fold_accuracies: tuple[Fraction, ...]
    fold_deviation: Fraction = None
    train_accuracy: Fraction = None


class ChampionScores(Frozen):
    """How the production model did on the same judged rows."""

    run: str
    version: str | None = None
    accuracy: Fraction = None
    macro_f1: Fraction = None


class Majority(Frozen):
    """How always answering the commonest training label does on the judged rows."""

    label: str
    accuracy: Fraction = None


class Difference(Frozen):
    """A paired difference of accuracies with its 95 % interval, as fractions; none when it could not be computed."""

    estimate: Fraction = None
    low: Fraction = None
    high: Fraction = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.estimate is None or self.low is None or self.high is None:
            return self
        if self.low > self.estimate or self.estimate > self.high:
            raise ValueError("the interval does not contain its estimate")
        return self


class MetricComparison(Frozen):
    """One metric of challenger and rival on the same judged rows, in the metric's own unit, challenger minus rival."""

    metric: str
    higher_is_better: bool
    challenger: Fraction = None
    rival: Fraction = None
    difference: Difference


class Evaluation(Frozen):
    """Everything a decision needs to know about one training attempt, at most `EVALUATION_LIMIT_BYTES` as JSON.

    `difference` is challenger minus champion, or challenger minus majority class for the first model of all;
    `versus_majority` is always against the majority class.
    """

    rows_trained: int = Field(ge=1)
    rows_judged: int = Field(ge=1)
    labels: tuple[str, ...]
    chosen: str
    candidates: tuple[Candidate, ...]
    challenger: ChallengerScores
    champion: ChampionScores | None = None
    majority: Majority
    difference: Difference
    versus_majority: Difference
    comparisons: tuple[MetricComparison, ...] = Field(
        default=(), description="every metric; the first model's rival answers each row with the labels' shares"
    )
    folds: int
    seeds: dict[str, int]
    library_versions: dict[str, str]
    rows_trained_sha256: str = Field(description="digest of the digests of the files trained on, in order")
    rows_judged_sha256: str = Field(description="the same for the files of the judged window")
    onnx_rows_checked: int = Field(description="rows on which the exported model was compared with the fitted one")
    onnx_largest_difference: float = Field(description="largest difference of any probability between the two")

    @model_validator(mode="after")
    def _small(self) -> Self:
        size_bytes = len(self.model_dump_json().encode())
        if size_bytes > EVALUATION_LIMIT_BYTES:
            raise ValueError(f"the evaluation takes {size_bytes} bytes, at most {EVALUATION_LIMIT_BYTES} are allowed")
        return self
