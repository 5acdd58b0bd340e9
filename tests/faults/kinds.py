"""What can go wrong at an effect, of every kind that the real services are known for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from google.api_core.exceptions import ServiceUnavailable, TooManyRequests
from requests.exceptions import Timeout

from tests.faults.scheduler import CHANGING

Kind = Literal[
    "429", "503", "timeout", "reply lost", "crash before", "crash after", "stale", "lease over",
    "half", "fails", "hangs",
]  # fmt: skip
REFUSALS: Mapping[str, Callable[[], Exception]] = {
    "429": lambda: TooManyRequests("injected"),
    "503": lambda: ServiceUnavailable("injected"),
    "timeout": lambda: Timeout("injected"),
}
STARTING = frozenset(
    {
        "vertex.upload", "vertex.deploy", "vertex.undeploy", "vertex.create_endpoint",
        "run.create_service", "run.deploy", "run.undeploy", "run.set_split",
    }
)  # fmt: skip
LAGGING = frozenset(
    {
        "vertex.list_jobs", "vertex.list_batch_jobs", "vertex.list_versions", "vertex.get_operation",
        "run.list_jobs", "run.get_operation",
    }
)  # fmt: skip
"""What may still answer as it was before the last change."""
LISTING = "storage.list"
"""Consistent, but in pages: not of one moment."""


def kinds_of(effect: str) -> list[Kind]:
    """What can go wrong at an effect."""
    kinds: list[Kind] = ["429", "503", "timeout", "crash before", "lease over"]
    if effect in CHANGING:
        kinds += ["reply lost", "crash after"]
    if effect in LAGGING or effect == LISTING:
        kinds += ["stale"]
    if effect in STARTING:
        kinds += ["half", "fails", "hangs"]
    return kinds


@dataclass(frozen=True)
class Fault:
    """What goes wrong at an effect; `again` tells whether the message comes once more."""

    kind: Kind
    again: bool = True


OK = 0
"""The choice of nothing going wrong."""


def faults_at(effect: str) -> list[Fault]:
    """What can go wrong at an effect, in the order of the choices: choice n is the n-th of them."""
    return [Fault(kind, again) for kind in kinds_of(effect) for again in (True, False)]


def choice_of(fault: Fault, effect: str) -> int:
    """The choice by which a fault happens at an effect."""
    return faults_at(effect).index(fault) + 1
