"""What the explorer holds against every decision, tried with records that somebody has changed."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.faulting import silent
from tests.faults.refolding import decided_otherwise
from tests.faults.stories import promoted
from tests.world.cloud import MemoryCloud
from tests.world.storage import _Object


@pytest.fixture(scope="module")
def ended() -> MemoryCloud:
    with silent():
        play = promoted()
        assert play.to_the_end() == ""
    return play.cloud


def changed(cloud: MemoryCloud, part: str, change: Callable[[Any], None]) -> str:
    """What is told of the world while the last record whose key holds `part` is another one."""
    key = max(each for each in cloud.state._generations if part in each)
    kept = cloud.state._generations[key]
    record = json.loads(kept[-1].body)
    change(record["data"])
    cloud.state._generations[key] = [_Object(kept[-1].entry, json.dumps(record).encode())]
    try:
        return decided_otherwise(cloud)
    finally:
        cloud.state._generations[key] = kept


def test_the_records_as_they_are_follow_from_what_they_name(ended: MemoryCloud) -> None:
    assert decided_otherwise(ended) == ""
    assert any("/intervals/" in key for key in ended.state._generations)


@pytest.mark.parametrize(
    ("part", "change", "told"),
    [
        ("/decision", lambda data: data.update(verdict="reject"), "reject was decided"),
        ("/decision", lambda data: data["card"].update(total=1), "decision"),
        ("/decision", lambda data: data["evaluation"].update(comparisons=[]), "follows from its evaluation"),
        ("/intervals/", lambda data: data["verdict"].update(kind="roll_back"), "does not follow"),
        ("/intervals/", lambda data: data["state"].update(step_requests=1), "does not follow"),
        ("/intervals/", lambda data: data["reports"].clear(), "does not follow"),
    ],
)
def test_a_decision_that_does_not_follow_is_told(
    ended: MemoryCloud, part: str, change: Callable[[Any], None], told: str
) -> None:
    assert told in changed(ended, part, change)
