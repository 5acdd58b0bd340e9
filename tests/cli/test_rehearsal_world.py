"""Nothing that a rehearsed function does leaves the process: what is not known to be a question is held back."""

import inspect

import pytest

from cli.rehearsal import rehearse
from cli.rehearsal_world import ORDERS, QUESTIONS, Stage
from shared.jobs import TrainingBackend
from shared.run_jobs import CloudRunJobs
from shared.run_services import CloudRunServices
from shared.serving import ServingBackend
from shared.vertex import CloudVertex, Vertex
from tests.functions.standing_rollout import MODEL, decide, put, under_way
from tests.functions.standing_run import event
from tests.world.cloud import MemoryCloud


@pytest.mark.parametrize(
    "service", [Vertex, ServingBackend, TrainingBackend, CloudVertex, CloudRunServices, CloudRunJobs]
)
def test_all_that_a_service_can_do_is_known_to_be_a_question_or_an_order(service: type) -> None:
    public = {name for name, _ in inspect.getmembers(service, inspect.isfunction) if not name.startswith("_")}
    assert not public - QUESTIONS - ORDERS
    assert not QUESTIONS & ORDERS


def test_what_is_not_known_to_be_a_question_is_held_back() -> None:
    cloud, done = MemoryCloud(), list[str]()
    stage = Stage(cloud, cloud.now(), None)
    stage.vertex.something_new("a")
    stage.door("somewhere.else", lambda: done.append("it was done"))
    assert (stage.ordered, cloud.door.effects, done) == (["vertex.something_new", "somewhere.else"], [], [])


def test_the_registrys_default_version_stays_when_its_change_is_rehearsed() -> None:
    cloud = under_way(100)
    decide(cloud, "promote")
    put(cloud, "end", {"outcome": "promoted"})
    before = [(version.name, version.default) for version in cloud.vertex.versions(MODEL)]
    (found,) = rehearse(cloud, event("retirement-due", what="versions", target=MODEL))
    assert "vertex.make_default" in found.today
    assert [(version.name, version.default) for version in cloud.vertex.versions(MODEL)] == before
