"""Which backend a run is trained or served on: as its settings said when its window was closed."""

from shared.errors import BadInput
from shared.ids import RunId, run_parts
from shared.jobs import TrainingBackend
from shared.ledger import window_key
from shared.serving import ServingBackend
from shared.settings import ServingSettings, Settings
from shared.step import Step

CLOUD_RUN = "cloud_run"


def serving(run: RunId, step: Step) -> ServingBackend:
    """What serves a run's model. All rollouts of a model are on one backend (`moved` holds that)."""
    return step.cloud.run_services if settings_of(run, step).serving.backend == CLOUD_RUN else step.cloud.vertex


def training(run: RunId, step: Step) -> TrainingBackend:
    """What trains a run's model."""
    return step.cloud.run_jobs if settings_of(run, step).training.backend == CLOUD_RUN else step.cloud.vertex


def settings_of(run: RunId, step: Step) -> Settings:
    """The settings that a run began with."""
    return Settings.model_validate(step.ledger.require(window_key(*run_parts(run))).data["settings"])


def moved(production: RunId, wanted: ServingSettings, step: Step) -> BadInput | None:
    """Why a run cannot be served as its settings want: the model's clients ask another backend; None if it can."""
    standing = settings_of(production, step).serving.backend
    if standing == wanted.backend:
        return None
    return BadInput("serving.backend", [f"the model is served on {standing}; on {wanted.backend} give it a new name"])
