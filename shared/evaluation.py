"""What a training job says about its challenger: the one value that travels to the decision and into the ledger.

It is numbers and names only, so that the decision can be repeated from the record alone, years later, without the rows.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from shared.errors import BadInput

EVALUATION_LIMIT_BYTES = 64 * 1024
"""The whole evaluation rides inside one event, and the event into one ledger record: both stay small."""


MAX_PROBLEMS = 20
Task = Literal["classification", "regression"]


def _none_for_nan(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


# JSON has no NaN: what could not be computed is none, or simply absent, before and after the journey.
Fraction = Annotated[float | None, BeforeValidator(_none_for_nan)]


class Frozen(BaseModel):
    """A value that cannot change; unknown fields of a later version are ignored, infinite numbers are errors."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Candidate(Frozen):
    """One algorithm that was tried: its primary metric per fold over all training rows, and the mean of them."""

    name: str
    fold_scores: tuple[Fraction, ...] = ()
    score: Fraction = None


class ChallengerScores(Frozen):
    """How the chosen candidate did on the judged rows, each row answered by a fit that had not seen it.

    The score is the accuracy, or R² of a regression. `train_score` is that of the final model, which has seen the rows,
    on the very same rows: their distance is what the model learnt by heart.
    """

    score: Fraction = None
    train_score: Fraction = None
    fold_scores: tuple[Fraction, ...] = ()
    fold_deviation: Fraction = None


class ChampionScores(Frozen):
    """The production model that was compared with; its numbers are those of the rival in the comparisons."""

    run: str
    version: str | None = None


class Baseline(Frozen):
    """How always giving the same answer does on the judged rows: the commonest label, or the mean."""

    answer: str
    metrics: dict[str, Fraction] = {}


class Difference(Frozen):
    """A paired difference of a metric with its 95 % interval; none when it could not be computed."""

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
    relative: bool = Field(default=False, description="whether a gain is told as a share of the rival's value")
    challenger: Fraction = None
    rival: Fraction = None
    difference: Difference = Difference()

    @property
    def gain(self) -> Difference:
        """How much better the challenger is, above zero being better: in points, or as a share of the rival's value."""
        scale = (self.rival or math.nan) if self.relative else 1.0
        if math.isnan(scale) or self.difference.estimate is None:
            return Difference()
        ends = [None if end is None else end / scale for end in (self.difference.low, self.difference.high)]
        estimate, (low, high) = self.difference.estimate / scale, ends
        if self.higher_is_better:
            return Difference(estimate=estimate, low=low, high=high)
        return Difference(estimate=-estimate, low=_negative(high), high=_negative(low))


class SliceScore(Frozen):
    """The primary metric on the judged rows of one slice; no comparison where they are too few."""

    column: str
    value: str
    rows: int
    comparison: MetricComparison | None = None


class GroupGap(Frozen):
    """How far the challenger's score (accuracy, R²) is apart between the groups it serves best and worst.

    Without a gap where fewer than two groups have enough judged rows.
    """

    column: str
    best: str | None = None
    worst: str | None = None
    scores: dict[str, Fraction] = {}
    rows: dict[str, int] = {}
    gap: Difference = Difference()


class Evaluation(Frozen):
    """Everything a decision needs to know about one training attempt, at most `EVALUATION_LIMIT_BYTES` as JSON.

    Only what has no default has to be there; what is left out is unknown, and what is unknown a person is asked about.
    """

    task: Task = "classification"
    rows_trained: int = Field(ge=1, description="rows that the challenger was fitted on")
    rows_judged: int = Field(ge=1, description="new rows that the challenger was compared on")
    chosen: str = Field(description="the candidate that became the challenger")
    challenger: ChallengerScores
    primary: str = Field(default="accuracy", description="the metric that decides between challenger and rival")
    comparisons: tuple[MetricComparison, ...] = Field(
        default=(),
        description="every metric against the champion; the first model's rival always gives the same answer: the"
        " labels' shares, or the mean",
    )
    champion: ChampionScores | None = Field(default=None, description="none for the first model of all")
    baseline: Baseline | None = None
    versus_baseline: MetricComparison | None = Field(default=None, description="the primary metric against it")
    slices: tuple[SliceScore, ...] = ()
    groups: tuple[GroupGap, ...] = ()
    labels: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    folds: int = 0
    warnings: tuple[str, ...] = Field(default=(), description="what a person should know about the rows")
    seeds: dict[str, int] = {}
    library_versions: dict[str, str] = {}
    rows_trained_sha256: str = Field(default="", description="digest of the digests of the files trained on, in order")
    rows_judged_sha256: str = Field(default="", description="the same for the files of the judged window")
    onnx_rows_checked: int = Field(
        default=0, description="rows on which the exported model was compared with the fitted one"
    )
    onnx_largest_difference: float = Field(
        default=0.0, description="largest difference of any probability, or of a value as a share of the largest"
    )

    def comparison(self, metric: str) -> MetricComparison:
        """What is known of one metric; nothing, if it was not measured."""
        found = [one for one in self.comparisons if one.metric == metric]
        return found[0] if found else MetricComparison(metric=metric, higher_is_better=True)

    @model_validator(mode="after")
    def _small(self) -> Self:
        size_bytes = len(self.model_dump_json().encode())
        if size_bytes > EVALUATION_LIMIT_BYTES:
            raise ValueError(f"the evaluation takes {size_bytes} bytes, at most {EVALUATION_LIMIT_BYTES} are allowed")
        return self


def parse(content: bytes) -> Evaluation:
    """The evaluation in `evaluation.json`; raises BadInput with every problem."""
    try:
        return Evaluation.model_validate_json(content)
    except ValidationError as error:
        problems = error.errors(include_input=False)
        reasons = [f"{'.'.join(map(str, one['loc'])) or 'evaluation'}: {one['msg']}" for one in problems]
        raise BadInput("evaluation.json", reasons[:MAX_PROBLEMS]) from error


def _negative(number: float | None) -> float | None:
    return None if number is None else -number
