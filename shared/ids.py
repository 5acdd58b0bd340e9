"""The identifiers that travel between functions, and how one is derived from another."""

import hashlib
import re
from typing import NewType

# A model of this name is never deployed: its runs repeat another's runs, to see what would come of them today.
TEST_PREFIX = "test-of-"
ModelName = NewType("ModelName", str)
RunId = NewType("RunId", str)
UploadId = NewType("UploadId", str)

# Short enough for labels (63), endpoint ids and topic ids that carry it as a part.
MODEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
# The end of a staging endpoint's name: that of a model's production endpoint must never be another's staging one.
STAGING_SUFFIX = "-staging"
MODEL_NAME_RULE = f"a-z, 0-9 and -, a letter first, at most 40, not ending in {STAGING_SUFFIX}"
_RUN = re.compile(r"([a-z][a-z0-9-]{0,39})-([0-9]{6})")


def run_id(model: ModelName, window: int) -> RunId:
    """The run that closing this window opens: `digits-000002`."""
    return RunId(f"{model}-{window:06d}")


def run_parts(run: RunId) -> tuple[ModelName, int]:
    """The model and the window number of a run; ValueError if it is no run's name."""
    match = _RUN.fullmatch(run)
    if match is None:
        raise ValueError("a run is named <model>-<six digits>")
    return ModelName(match[1]), int(match[2])


def is_model_name(name: str) -> bool:
    """Whether a model may be called so: MODEL_NAME_RULE."""
    return MODEL_NAME.fullmatch(name) is not None and not name.endswith(STAGING_SUFFIX)


def test_of(model: ModelName) -> ModelName:
    """Under which name a model's test runs are kept."""
    return ModelName(f"{TEST_PREFIX}{model}")


def is_run(name: str) -> bool:
    """Whether this is a run's name."""
    return _RUN.fullmatch(name) is not None


def is_test(model: ModelName) -> bool:
    """Whether a model's runs are test runs, which end before anything is staged."""
    return model.startswith(TEST_PREFIX)


def upload_id(bucket: str, name: str, generation: int) -> UploadId:
    """One name per uploaded generation, safe as a part of a key whatever the object is called."""
    return UploadId(hashlib.sha256(f"{bucket}\0{name}\0{generation}".encode()).hexdigest()[:20])
