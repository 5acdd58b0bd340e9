"""The story, short, on an installation that is there: what a delivery plays in staging before production is asked for.

Nothing is heard, only the ledger is read: a project's topics are nobody's to listen to. Without SERIN_STORY_PROJECT it
is played on a local cloud made for it, so that it is known to work before it is played where it costs money.

    SERIN_STORY_PROJECT, SERIN_REGION   the project that deploy.sh deployed to
    SERIN_STORY_MODEL                   a model's name that nobody has used there
    SERIN_STORY_BACKEND                 vertex (as if not given) or cloud_run
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.connection import ledger_of, say
from cli.demo.cloud import LocalCloud, local_cloud
from cli.demo.story import Story, cut
from cli.demo.traffic import clients
from shared.environment import Cloud, GoogleCloud, read_environment
from shared.errors import Transient
from shared.events import RollbackRequested
from shared.ids import ModelName
from shared.rollouts import Rollout, newest, production_endpoint
from shared.serving import ServingBackend
from shared.settings import object_name

PROJECT, MODEL = os.environ.get("SERIN_STORY_PROJECT", ""), ModelName(os.environ.get("SERIN_STORY_MODEL", "story"))
BACKEND = os.environ.get("SERIN_STORY_BACKEND", "vertex")
PATIENCE_SECONDS = 3600.0 if PROJECT else 900.0  # a deployment on Vertex AI takes up to twenty minutes
SETTINGS = f"""
[data]
target = "digit"
[threshold]
at_least = 100
[training]
backend = "{BACKEND}"
candidates = ["LogisticRegression"]
[rollout]
steps = [20, 100]
[serving]
backend = "{BACKEND}"
deploy_timeout_seconds = 3600
smoke_latency_seconds = 20.0
[evidence]
report_seconds = 5
grace_intervals = 6
wrong_margin_points = 15
error_margin_points = 25
slow_margin_points = 50
slow_floor_seconds = 5.0
minimum_requests = 10
minimum_seconds = 10
time_limit_seconds = 1800
silent_intervals = 60
"""
pytestmark = [
    pytest.mark.skipif("SERIN_STORY" not in os.environ, reason="`make story` plays it"),
    pytest.mark.timeout(7200),
    pytest.mark.filterwarnings("default"),  # the clients' own threads warn
]


def variables() -> dict[str, str]:
    """The names that deploy.sh gives."""
    buckets = {f"SERIN_{name.upper()}_BUCKET": f"{PROJECT}-serin-{name}" for name in ("data", "state", "artefacts")}
    return {**os.environ, "GOOGLE_CLOUD_PROJECT": PROJECT, **buckets}


@contextmanager
def installation(home: Path) -> Iterator[Cloud]:
    if PROJECT:
        yield GoogleCloud(read_environment(variables()))
        return
    home.mkdir(parents=True)
    with local_cloud(LocalCloud(home)) as cloud:
        yield cloud


def serving(cloud: Cloud) -> ServingBackend:
    return cloud.run_services if BACKEND == "cloud_run" else cloud.vertex


def until(what: str, truth: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if truth():
                return
        except Transient:
            pass  # asked again below: a person would do the same
        assert time.monotonic() < end, f"{what} did not come within {PATIENCE_SECONDS:.0f} s"
        time.sleep(1.0)


def rollout(cloud: Cloud) -> Rollout | None:
    return newest(ledger_of(cloud), MODEL)


def drop(cloud: Cloud, story: Story, *acts: int) -> None:
    for act in acts:
        for file in story.act(act).files:
            cloud.data.create(f"data/{MODEL}/{file.name}", file.content)


def split(cloud: Cloud) -> dict[str, int]:
    endpoint = serving(cloud).endpoint(production_endpoint(MODEL))
    return dict(endpoint.split) if endpoint else {}


def test_a_model_goes_live_its_successor_through_a_canary_and_back(tmp_path: Path) -> None:
    with installation(tmp_path / "home") as cloud:
        story = cut(1)
        cloud.data.create(object_name(MODEL), SETTINGS.encode())
        drop(cloud, story, 1, 2)
        until("the first model, live", lambda: (found := rollout(cloud)) is not None and found.end is not None)
        assert split(cloud) == {"1": 100}
        crowd = clients(cloud, serving(cloud), MODEL, story.traffic)
        crowd.start()
        try:
            drop(cloud, story, 3)
            until("the canary", lambda: split(cloud) == {"1": 80, "2": 20})
            until("all of the traffic", lambda: split(cloud) == {"2": 100})
            back = RollbackRequested(model=MODEL, rollout=2, by="delivery", because="the story ends so")
            say(cloud, back, f"story-{MODEL}")
            until("the rollback", lambda: (found := rollout(cloud)) is not None and found.end is not None)
        finally:
            crowd.stop()
        assert split(cloud) == {"1": 100}
        assert crowd.tally.requests > crowd.tally.refused
