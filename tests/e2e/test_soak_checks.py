"""The checks after a soak pass a world that is right, and each notices what it is for."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.e2e.soak_checks import Found, broken, unfinished

TOLD = [{"attributes": {"ce-type": "dev.serin.notification.posted.v1"}}]
JOB = "projects/p/locations/l/customJobs/1"
ENDPOINT = {"name": "e/serin-m", "trafficSplit": {"1": 100}, "deployedModels": [{"id": "1"}]}
OPENED = {"candidate": {"id": "1"}, "base": None}


def record(data: dict[str, Any], events: list[Any] | None = None) -> dict[str, Any]:
    return {"data": data, "events": events or []}


def right() -> Found:
    """Two uploads: one was trained on, one waits."""
    records = {
        "uploads/m/a": record({"verdict": "accepted", "accepted": 20}),
        "uploads/m/b": record({"verdict": "accepted", "accepted": 20}),
        "windows/m/000001": record({"rows": 20, "uploads": [{"id": "a", "rows": 20}]}),
        "pending/m/000001/a": record({}),
        "pending/m/000002/b": record({}),
        "runs/m/000001/job-1": record({"job": JOB}),
        "runs/m/000001/decision": record({}),
        "runs/m/000001/end": record({"outcome": "live"}, TOLD),
        "rollouts/m/000001/opened": record(OPENED),
        "rollouts/m/000001/verdict": record({}),
        "rollouts/m/000001/end": record({"outcome": "promoted"}),
    }
    jobs = [{"name": JOB, "state": "JOB_STATE_SUCCEEDED"}]
    versions = [{"name": "models/m@1", "labels": {"serin-run": "m-000001"}}]
    return Found(records, dict.fromkeys(records, "t"), jobs, versions, [ENDPOINT])


def without(key: str) -> Callable[[Any], None]:
    return lambda found: (found.records.pop(key), found.keys.pop(key))


def with_data(key: str, **data: Any) -> Callable[[Any], None]:
    return lambda found: found.records[key]["data"].update(data)


def with_job(name: str, state: str) -> Callable[[Any], None]:
    return lambda found: found.jobs.append({"name": name, "state": state})


def deploying(endpoint: str, *ids: str) -> Callable[[Any], None]:
    deployed = [{"id": each} for each in ids]
    return lambda found: found.endpoints.append({"name": f"e/{endpoint}", "deployedModels": deployed})


def test_both_arms_of_an_open_rollout_may_be_deployed() -> None:
    found = deepcopy(right())
    without("rollouts/m/000001/end")(found)
    found.records["rollouts/m/000001/opened"]["data"]["base"] = {"id": "0"}  # type: ignore[index]
    deploying("serin-m", "0", "1")(found)
    assert unfinished(found, {"m": 2}) == []


def test_a_world_that_is_right_passes() -> None:
    assert unfinished(right(), {"m": 2}) == []
    assert broken(right(), {"m": 2}, 20) == []


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (with_data("uploads/m/b", accepted=40), "60 were counted"),
        (with_data("uploads/m/b", verdict="duplicate"), "1 accepted"),
        (without("pending/m/000002/b"), "in no window and not waiting"),
        (
            with_data("windows/m/000001", rows=40, uploads=[{"id": "a", "rows": 20}, {"id": "a", "rows": 20}]),
            "in two windows",
        ),
        (with_data("windows/m/000001", rows=21), "not the sum"),
        (with_data("windows/m/000001", rows=40, uploads=[{"id": n, "rows": 20} for n in "ab"]), "wait though"),
        (with_data("runs/m/000001/end", outcome="lost"), "ended as lost"),
        (lambda found: found.records["runs/m/000001/end"]["events"].clear(), "nobody was told"),
        (without("runs/m/000001/decision"), "undecided"),
        (with_job("j2", "JOB_STATE_SUCCEEDED"), "no record names it"),
        (lambda found: found.jobs[0].update(state="JOB_STATE_CANCELLED"), "the recorded job was cancelled"),
        (lambda found: found.versions.append(found.versions[0]), "2 versions"),
        (without("rollouts/m/000001/end"), "a verdict without an end"),
        (lambda found: found.endpoints[0]["trafficSplit"].update({"1": 60}), "does not add up"),
        (lambda found: found.endpoints[0].update(deployedModels=[]), "not deployed"),
        (
            lambda found: found.versions.extend({"name": f"models/m@{each}"} for each in range(2, 7)),
            "m: 6 versions in the registry",
        ),
        (lambda found: found.keys.update({"dead-letters/x/000000": "t"}), "given up"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_noticed(harm: Callable[[Any], None], words: str) -> None:
    found = deepcopy(right())
    harm(found)
    told = broken(found, {"m": 2}, 20)
    assert any(words in each for each in told), told


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (without("uploads/m/b"), "m: 2 uploads, 1 records"),
        (without("runs/m/000001/end"), "runs/m/000001: without an end"),
        (with_job("j2", "JOB_STATE_RUNNING"), "j2: still JOB_STATE_RUNNING"),
        (deploying("serin-m", "2"), "serin-m: 2 still deployed"),
        (deploying("serin-m-staging", "1"), "serin-m-staging: 1 still deployed"),
        (with_data("rollouts/m/000001/end", outcome="rolled back"), "serin-m: 1 still deployed"),
    ],
)
def test_what_has_not_come_to_its_end_is_told_apart_from_what_is_wrong(harm: Callable[[Any], None], words: str) -> None:
    found = deepcopy(right())
    harm(found)
    assert unfinished(found, {"m": 2}) == [words]
    assert unfinished(right(), {"m": 2}) == []
    assert broken(found, {"m": 2}, 20) == []


def left(outcome: str) -> Found:
    """As right, but the run's rollout was left: the rollout's end tells people, the run's does not."""
    found = right()
    found.records["runs/m/000001/end"].update(data={"outcome": outcome}, events=[])
    found.records["runs/m/000001/rollout"] = record({"rollout": 1})
    found.records["rollouts/m/000001/end"]["events"].extend(TOLD)
    return found


@pytest.mark.parametrize("outcome", ["rolled back", "inconclusive"])
def test_of_a_run_that_was_left_its_rollouts_end_tells(outcome: str) -> None:
    assert broken(left(outcome), {"m": 2}, 20) == []
    untold = left(outcome)
    untold.records["rollouts/m/000001/end"]["events"].clear()
    assert broken(untold, {"m": 2}, 20) == ["runs/m/000001: nobody was told of its end"]
