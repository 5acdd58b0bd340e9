"""A measurement is told in plain numbers, whatever library counted."""

import json
from dataclasses import asdict

import numpy as np

from bench.report import at_least, at_most


def test_numbers_of_numpy_become_json_and_a_missed_target_is_false() -> None:
    missed, met = at_most("errors", np.float32(2), "%", 1), at_least("speed", np.float64(2), "×", 1)
    assert (missed.met is False, met.met is True) == (True, True)
    assert [row["value"] for row in json.loads(json.dumps([asdict(missed), asdict(met)]))] == [2.0, 2.0]
