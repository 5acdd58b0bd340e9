"""Which backend a run is trained or served on: as its settings said when its window was closed."""

from collections.abc import Iterable

from shared.errors import BadInput
from shared.ids import RunId, run_parts
from shared.jobs import TrainingBackend
from shared.ledger import window_key
from shared.serving import ServingBackend
from shared.settings import ServingSettings, settings_of
from shared.step import Step

CLOUD_RUN = "cloud_run"


def serving(run: RunId, step: Step) -> ServingBackend:
    """What serves a run's model. All rollouts of a model are on one backend (`moved` holds that)."""
    return step.cloud.run_services if settings_of(step.ledger, run).serving.backend == CLOUD_RUN else step.cloud.vertex


def moved_from(runs: Iterable[RunId], now: RunId, step: Step) -> RunId | None:
    """The first of these runs that is not served where another is; None if all are, as far as is known."""
    here = settings_of(step.ledger, now).serving.backend
    known = (run for run in runs if step.ledger.find(window_key(*run_parts(run))) is not None)
    return next((run for run in known if settings_of(step.ledger, run).serving.backend != here), None)


def training(run: RunId, step: Step) -> TrainingBackend:
    """What trains a run's model."""
    return step.cloud.run_jobs if settings_of(step.ledger, run).training.backend == CLOUD_RUN else step.cloud.vertex


def moved(production: RunId, wanted: ServingSettings, step: Step) -> BadInput | None:
    """Why a run cannot be served as its settings want: the model's clients ask another backend; None if it can."""
    standing = settings_of(step.ledger, production).serving.backend
    if standing == wanted.backend:
        return None
    return BadInput("serving.backend", [f"the model is served on {standing}; on {wanted.backend} give it a new name"])
