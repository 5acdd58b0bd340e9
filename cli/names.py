"""Names that people type, checked before anything is asked for by them."""

from shared.errors import BadInput
from shared.ids import MODEL_NAME, ModelName, RunId, run_parts


def model_named(name: str) -> ModelName:
    """A model's name; BadInput if it is none."""
    if MODEL_NAME.fullmatch(name) is None:
        raise BadInput("model", [f"{name!r} is no model's name: a-z, 0-9 and -, a letter first, at most 40"])
    return ModelName(name)


def run_named(name: str) -> RunId:
    """A run's name; BadInput if it is none."""
    try:
        run_parts(RunId(name))
    except ValueError as error:
        raise BadInput("run", [str(error)]) from error
    return RunId(name)
