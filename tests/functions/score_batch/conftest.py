"""Puts the function's own folder on the path, as functions-framework does."""

import sys
from pathlib import Path

FUNCTION = str(Path(__file__).parents[3] / "functions" / Path(__file__).parent.name)
if FUNCTION not in sys.path:
    sys.path.insert(0, FUNCTION)
