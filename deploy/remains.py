"""What Serin's functions made while they ran: no plan knows it, and it is billed until somebody removes it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.gcloud import Gcloud
from deploy.steps import Command, Step
from deploy.target import Target

_OURS = "serin-"
_UNFINISHED = {"JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING"}
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Remains:
    """What was found, each as a step that removes it; and which kinds could not be looked at, with the reasons."""

    steps: tuple[Step, ...] = ()
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Kind:
    """How things of a kind are listed, which of them are ours, and how one is removed."""

    what: str
    group: Command
    shown: str
    ours: Callable[[Entry], bool]
    removed: Callable[[Entry, Command, str], tuple[Command, ...]]

    def listing(self, target: Target) -> Command:
        return (*self.group, "list", f"--region={target.region}", f"--format=json({self.shown})")


def listings(target: Target) -> tuple[Command, ...]:
    """The commands that show what there may be."""
    return tuple(kind.listing(target) for kind in _KINDS)


def remains(gcloud: Gcloud, target: Target) -> Remains:
    """Everything of ours that stands beside the plan; only looks."""
    steps: list[Step] = []
    unseen: list[str] = []
    for kind in _KINDS:
        listing = kind.listing(target)
        answer = gcloud(listing)
        if answer.status:
            why = (answer.err.strip().splitlines() or ["it said nothing"])[0]
            unseen.append(f"{kind.what}: gcloud {' '.join(listing)}: {why}")
        else:
            steps += _steps(kind, json.loads(answer.out or "[]"), target)
    return Remains(tuple(steps), tuple(unseen))


def _steps(kind: _Kind, found: list[Entry], target: Target) -> Iterator[Step]:
    for each in filter(kind.ours, found):
        commands = kind.removed(each, kind.group, f"--region={target.region}")
        yield Step(f"{kind.what} {_called(each)}", (), remove=commands, together=kind.what)


def _called(entry: Entry) -> str:
    return str(entry.get("displayName") or _id(entry))


def _id(entry: Entry) -> str:
    return str(entry.get("metadata", entry)["name"]).rpartition("/")[2]


def _named(entry: Entry) -> bool:
    return _called(entry).startswith(_OURS)


def _deleted(entry: Entry, group: Command, place: str) -> tuple[Command, ...]:
    return ((*group, "delete", _id(entry), place),)


def _emptied(entry: Entry, group: Command, place: str) -> tuple[Command, ...]:
    """An endpoint goes when nothing is deployed on it; who goes leaves its traffic to the last."""
    deployed = [str(each["id"]) for each in entry.get("deployedModels", [])]
    undeploy = (*group, "undeploy-model", _id(entry), place)
    before = (
        (*undeploy, f"--deployed-model-id={each}", f"--traffic-split={deployed[-1]}=100") for each in deployed[:-1]
    )
    last = ((*undeploy, f"--deployed-model-id={each}") for each in deployed[-1:])
    return (*before, *last, *_deleted(entry, group, place))


def _cancelled(entry: Entry, group: Command, place: str) -> tuple[Command, ...]:
    return ((*group, "cancel", _id(entry), place),)


_KINDS = (
    _Kind("endpoint", ("ai", "endpoints"), "name,displayName,deployedModels", _named, _emptied),
    _Kind("model", ("ai", "models"), "name,displayName,labels", lambda e: "serin-run" in e.get("labels", {}), _deleted),
    _Kind(
        "training job", ("ai", "custom-jobs"), "name,displayName,state",
        lambda each: _named(each) and each.get("state") in _UNFINISHED, _cancelled,
    ),
    _Kind("Cloud Run service", ("run", "services"), "metadata.name", _named, _deleted),
    _Kind("Cloud Run job", ("run", "jobs"), "metadata.name", _named, _deleted),
)  # fmt: skip
