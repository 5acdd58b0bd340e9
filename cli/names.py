"""Names that people type, checked before anything is asked for by them."""

from shared.errors import BadInput
from shared.ids import MODEL_NAME_RULE, ModelName, RunId, is_model_name, run_parts


def model_named(name: str) -> ModelName:
    """A model's name; BadInput if it is none."""
    if not is_model_name(name):
        raise BadInput("model", [f"{name!r} is no model's name: {MODEL_NAME_RULE}"])
    return ModelName(name)


def run_named(name: str) -> RunId:
    """A run's name; BadInput if it is none."""
    try:
        run_parts(RunId(name))
    except ValueError as error:
        raise BadInput("run", [str(error)]) from error
    return RunId(name)
