"""A model's settings: `settings/<model>.toml` in the data bucket, checked on upload, every problem named.

A key that is not set has the default that stands here; a run pins the generation that it used.
"""

import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.drift_rules import DriftRules
from shared.errors import BadInput, NotYet
from shared.evidence_rules import EvidenceRules
from shared.ids import MODEL_NAME_RULE, ModelName, RunId, is_model_name, run_parts
from shared.ledger import Ledger, Outcome, Record, settings_prefix, window_key
from shared.rubric import Rubric
from shared.serving import Machine
from shared.store import Store

MAX_SETTINGS_BYTES = 256 * 1024  # a person writes it
_FOLDER = "settings/"
_SUFFIX = ".toml"
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = r"^[1-9][0-9]{0,5}[smhd]$"
Positive = Annotated[int, Field(ge=1)]
Backend = Literal["vertex", "cloud_run"]
Cpu = Annotated[str, Field(pattern=r"^[1-8]$")]
Memory = Annotated[str, Field(pattern=r"^\d{1,2}Gi$|^512Mi$")]
CandidateName = Literal["LogisticRegression", "Ridge", "RandomForest", "HistGradientBoosting"]


def _seconds(duration: str | None) -> float | None:
    return int(duration[:-1]) * _UNIT_SECONDS[duration[-1]] if duration else None


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnSettings(_Section):
    """What one column may hold, beyond the schema; `<name>` is its name. A bad cell makes its row a bad row."""

    kind: Literal["number", "text"] | None = Field(None, description="overrides the kind that the schema recorded")
    required: bool = Field(False, description="no cell may be empty; the target's never may")
    optional: bool = Field(False, description="a file may lack the column; its cells are then missing values")
    minimum: float | None = Field(None, description="smallest number allowed")
    maximum: float | None = Field(None, description="largest number allowed")
    allowed: tuple[str, ...] = Field((), description="the only values allowed, if any are named; compared as text")
    sensitive: bool = Field(False, description="what its cells hold is never shown or written aside")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        bounded = self.minimum is not None or self.maximum is not None
        if bounded and self.kind == "text":
            raise ValueError("minimum and maximum are for numbers")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self


class DataSettings(_Section):
    """What the rows look like, and which of them are good."""

    target: str = Field(min_length=1, description="column that holds the true label")
    delimiter: str = Field(",", min_length=1, max_length=1, description="what separates the cells of a CSV row")
    quote: str = Field('"', min_length=1, max_length=1, description="what encloses a CSV cell that holds delimiters")
    unique: tuple[str, ...] = Field((), description="columns that together must be different in every row of a file")
    unchecked_unique: Literal["accept", "reject"] = Field(
        "accept", description="what becomes of a file with more rows than `unique` can be checked for (1,000,000)"
    )
    bad_rows_share: float = Field(0.0, ge=0, lt=1, description="share of bad rows tolerated; they are written aside")
    new_columns: Literal["notice", "reject"] = Field("notice", description="what a column outside the schema means")
    max_bytes: Positive = Field(10 * 1024**3, description="largest file, also once unpacked")
    max_rows: Positive = Field(1_000_000_000, description="most rows in one file")
    columns: Mapping[str, ColumnSettings] = Field({}, description="rules for single columns")

    @field_validator("delimiter", "quote")
    @classmethod
    def _one_byte(cls, mark: str) -> str:
        if not mark.isascii() or mark in "\r\n\0":
            raise ValueError("must be an ASCII character and no line end")
        return mark

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must be different")
        return self


class ThresholdSettings(_Section):
    """When a window of rows is closed and trained on: enough rows, or fewer that have waited long enough."""

    at_least: Positive = Field(100, description="rows that have to wait before training starts")
    or_after: str | None = Field(
        None, pattern=_DURATION, description='age of the oldest waiting rows, such as "24h" or "7d"'
    )
    or_after_rows: Positive = Field(1, description="rows that have to wait once the oldest are that old")
    retrain_every: str | None = Field(
        None, pattern=_DURATION, description='time after the last run in which any rows that wait are trained on: "30d"'
    )
    retrain_on_code: bool = Field(False, description="train on the rows that wait when new code is deployed")

    @property
    def or_after_seconds(self) -> float | None:
        """The age in seconds; None if age alone closes no window."""
        return _seconds(self.or_after)

    @property
    def retrain_every_seconds(self) -> float | None:
        """The time between runs in seconds; None if there is no schedule."""
        return _seconds(self.retrain_every)


class TrainingSettings(_Section):
    """How a challenger is trained."""

    task: Literal["", "classification", "regression"] = Field(
        "", description="what is learnt; empty: as in production, else inferred from the target's values"
    )
    candidates: tuple[CandidateName, ...] = Field(
        (), description="algorithms that compete, of the task's three; empty: all three"
    )
    folds: int = Field(5, ge=2, le=20, description="folds of the cross-validation")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of everything random in training")
    anomalous_share: float = Field(
        0.01, gt=0, lt=0.5, description="share of the training rows that the anomaly model's threshold calls anomalous"
    )
    image: str = Field("", description="your own trainer's image; empty: Serin's")
    attempts: int = Field(3, ge=1, le=10, description="training jobs that may be tried on one window")
    timeout_seconds: int = Field(6 * 3600, ge=60, description="longest time a training job may take")
    backend: Backend = Field("vertex", description="what runs the job: a Vertex AI custom job or a Cloud Run job")
    machine_type: str = Field("n1-standard-4", description="Vertex AI machine type of the training job")
    cpu: Cpu = Field("4", description="CPUs of a Cloud Run job")
    memory: Memory = Field("16Gi", description="memory of a Cloud Run job")
    retries: int = Field(0, ge=0, le=10, description="times that a Cloud Run job starts its container again by itself")
    accelerator_type: str = Field("", description="accelerator of the training job, such as NVIDIA_TESLA_T4")
    accelerator_count: int = Field(0, ge=0, le=8, description="number of accelerators")
    spot: bool = Field(False, description="train on spot machines, which are cheaper and may be lost")

    @model_validator(mode="after")
    def _accelerated_or_not(self) -> Self:
        if bool(self.accelerator_type) != bool(self.accelerator_count):
            raise ValueError("accelerator_type and accelerator_count need each other")
        if self.backend == "cloud_run" and (self.accelerator_count or self.spot):
            raise ValueError("a Cloud Run job has neither accelerators nor spot machines here")
        return self


class PreprocessingSettings(_Section):
    """How cells become what a model is fitted on; it is part of the exported model."""

    categories: tuple[str, ...] = Field((), description="columns of numbers that are names of something, such as codes")
    ignored: tuple[str, ...] = Field((), description="columns that are no features, and that nobody sends to predict")
    missing_numbers: Literal["median", "mean", "zero"] = Field("median", description="what stands for an empty number")
    missing_texts: Literal["most_frequent", "own"] = Field(
        "most_frequent", description="what stands for an empty text: the commonest one, or a category of its own"
    )


class SliceSettings(_Section):
    """Parts of the rows that are looked at by themselves; the bounds that veto stand in `[decision]`."""

    columns: tuple[str, ...] = Field(
        (), max_length=10, description="columns whose values make slices; numbers: quarters"
    )
    groups: tuple[str, ...] = Field((), max_length=5, description="columns whose values make sensitive groups")
    rows_min: int = Field(30, ge=10, description="fewer judged rows of a slice or group say nothing about it")


class ApprovalSettings(_Section):
    """Who may answer, and how long it may take."""

    expires_hours: float = Field(72.0, gt=0, description="time to answer; after it the challenger is rejected")
    approvers: tuple[str, ...] = Field((), description="who may answer, by the name they give; empty: everybody")


class ServingSettings(_Section):
    """What answers predictions."""

    backend: Backend = Field("vertex", description="what answers: a Vertex AI endpoint or a Cloud Run service")
    machine_type: str = Field("n1-standard-2", description="Vertex AI machine type of a serving replica")
    cpu: Cpu = Field("1", description="CPUs of a Cloud Run instance")
    memory: Memory = Field("2Gi", description="memory of a Cloud Run instance")
    replicas_min: Positive = Field(1, description="replicas that always run; on Cloud Run none does")
    replicas_max: Positive = Field(3, description="replicas under load")
    deploy_timeout_seconds: int = Field(3600, ge=1, description="longest time an upload or a deployment may take")
    smoke_latency_seconds: float = Field(2.0, gt=0, description="slowest acceptable answer in the smoke test")
    rows_scored_here: int = Field(
        10_000, ge=0, le=50_000, description="a file of at most so many rows under `score/` is scored without a job"
    )
    versions_kept: Positive = Field(5, description="newest model versions kept in the registry")

    @property
    def machine(self) -> Machine:
        """What a deployed model in production runs on."""
        return Machine(self.machine_type, (self.replicas_min, self.replicas_max), self.cpu, self.memory)


class RolloutSettings(_Section):
    """How a candidate gets its traffic."""

    steps: tuple[int, ...] = Field((5, 25, 50, 100), description="percent of the traffic at each step; the last is 100")
    bake_seconds: float = Field(86_400.0, ge=0, description="time at 100 % during which the previous model stays warm")

    @model_validator(mode="after")
    def _ascending_to_all(self) -> Self:
        if not self.steps or self.steps[-1] != 100 or list(self.steps) != sorted(set(self.steps)) or self.steps[0] < 1:
            raise ValueError("steps must ascend from at least 1 to exactly 100")
        return self


class Settings(_Section):
    """Everything a model's owner decides."""

    data: DataSettings
    threshold: ThresholdSettings = ThresholdSettings()
    training: TrainingSettings = TrainingSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    slices: SliceSettings = SliceSettings()
    decision: Rubric = Rubric()
    approval: ApprovalSettings = ApprovalSettings()
    serving: ServingSettings = ServingSettings()
    rollout: RolloutSettings = RolloutSettings()
    evidence: EvidenceRules = EvidenceRules()
    drift: DriftRules = DriftRules()


def parse(text: bytes) -> Settings:
    """The settings in a TOML file; raises BadInput with every problem."""
    try:
        return Settings.model_validate(tomllib.loads(text.decode("utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput("settings", [f"not a TOML file: {error}"]) from error
    except ValidationError as error:
        raise BadInput("settings", [_problem(problem) for problem in error.errors(include_input=False)]) from error


def object_name(model: ModelName) -> str:
    """Where a model's settings are dropped."""
    return f"{_FOLDER}{model}{_SUFFIX}"


def model_of(name: str) -> ModelName:
    """The model whose settings an object holds; raises BadInput when the name does not say."""
    model = name.removeprefix(_FOLDER).removesuffix(_SUFFIX)
    if not name.endswith(_SUFFIX) or not is_model_name(model):
        raise BadInput("settings", [f"the name must be settings/<model>.toml, the model {MODEL_NAME_RULE}"])
    return ModelName(model)


def checked(ledger: Ledger, data: Store, model: ModelName, generation: int) -> Record:
    """The verdict on one generation of a model's settings, as the ledger holds it: who asks first has it judged."""

    def judge() -> Outcome:
        text = data.read(object_name(model), generation)
        if text is None:
            return Outcome({"valid": False, "reasons": ["this generation is gone"]})
        if len(text) > MAX_SETTINGS_BYTES:
            return Outcome({"valid": False, "reasons": [f"larger than {MAX_SETTINGS_BYTES} bytes"]})
        try:
            return Outcome({"valid": True, "settings": parse(text).model_dump(mode="json"), "reasons": []})
        except BadInput as bad:
            return Outcome({"valid": False, "reasons": list(bad.reasons)})

    return ledger.once(f"{settings_prefix(model)}{generation:020d}", judge)


def current(ledger: Ledger, data: Store, model: ModelName) -> tuple[int, Settings] | None:
    """The newest valid settings of a model and their generation; None if it never had any."""
    live = data.stat(object_name(model))
    if live is not None:
        checked(ledger, data, model, live.generation)
    for entry in reversed(ledger.entries(settings_prefix(model))):
        record = ledger.require(entry.key)
        if record.data["valid"]:
            return int(entry.key.rsplit("/", 1)[-1]), Settings.model_validate(record.data["settings"])
    return None


def settings_of(ledger: Ledger, run: RunId) -> Settings:
    """The settings that a run began with, whatever they have become since; NotYet if its window is not closed."""
    return Settings.model_validate(ledger.require(window_key(*run_parts(run))).data["settings"])


def required(ledger: Ledger, data: Store, model: ModelName) -> tuple[int, Settings]:
    """Like `current`; NotYet if there are none."""
    found = current(ledger, data, model)
    if found is None:
        raise NotYet(f"settings of {model}")
    return found


def _problem(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
