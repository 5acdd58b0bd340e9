"""Puts the function's own folder on the path, as functions-framework does; and a model whose second run is open."""

import sys
from pathlib import Path

import pytest

from tests.functions.reconcile.ticking import known
from tests.functions.standing_run import open_run
from tests.world.cloud import MemoryCloud

FUNCTION = str(Path(__file__).parents[3] / "functions" / Path(__file__).parent.name)
if FUNCTION not in sys.path:
    sys.path.insert(0, FUNCTION)


@pytest.fixture
def cloud() -> MemoryCloud:
    made = known(MemoryCloud())
    open_run(made)
    return made
