"""What the tests of a deployment share: one target, its plan, and a runner that waits for nobody."""

import atexit
import tempfile
from functools import cache
from pathlib import Path

from deploy import table
from deploy.filling import Filling
from deploy.gcloud import Gcloud
from deploy.plan import plan
from deploy.runner import Report, Runner
from deploy.steps import Step
from deploy.target import Target

TARGET = Target(
    "p-1",
    "europe-west1",
    key="projects/p-1/locations/europe-west1/keyRings/serin/cryptoKeys/buckets",
    notify_secret="serin-urls:1",
    channels_secret="serin-channels:2",
)
_FOLDER = tempfile.TemporaryDirectory(prefix="serin-")
atexit.register(_FOLDER.cleanup)
WAITS_SECONDS = (1.0, 2.0)


@cache
def steps() -> tuple[Step, ...]:
    return plan(TARGET, table.load())


def runner(gcloud: Gcloud, slept: list[float] | None = None) -> Runner:
    """Carries out the plan without uploading what functions and images are made of."""
    pauses: list[float] = [] if slept is None else slept
    filling = Filling(gcloud, TARGET, table.load(), Path(_FOLDER.name), lambda *_: None, lambda *_: None)
    return Runner(gcloud, filling, WAITS_SECONDS, pauses.append, lambda _: None)


def deployed(gcloud: Gcloud) -> Report:
    return runner(gcloud).deploy(steps())
