"""What each step of the deployment plan finds, and the command of the plan that mends it. Nothing is listed here twice:
what has to be there, what it has to be like and how it is made are the plan's own.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

from cli.doctor.asking import DISABLED, Looked, api, at, words
from deploy.gcloud import absent
from deploy.steps import Command, Step

State = Literal["fine", "wrong", "unknown", "not applicable"]
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s?")


@dataclass(frozen=True)
class Finding:
    """What was found of one thing; `mend` are the commands, in their order, that put it right."""

    area: str
    what: str
    state: State
    why: str = ""
    mend: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Place(Protocol):
    """Where is looked: what it offers, what it answers, how it is mended."""

    def offers(self, command: Command) -> bool: ...
    def look(self, command: Command) -> Looked: ...
    def compares(self, flag: str) -> bool:
        """Whether a thing must be as this flag of its making says."""

    def filled(self, argument: str) -> str:
        """An argument with what is known by now in the place of its marks."""

    def mending(self, commands: tuple[Command, ...], *, there: bool) -> tuple[str, ...]:
        """What a person types to have these commands carried out; `there`: the thing stands, but differs."""


# How a flag of a command that makes a thing stands in the thing itself.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "pubsub subscriptions create": {
        "topic": "topic",
        "message-filter": "filter",
        "push-endpoint": "pushConfig.pushEndpoint",
        "push-auth-service-account": "pushConfig.oidcToken.serviceAccountEmail",
        "push-auth-token-audience": "pushConfig.oidcToken.audience",
        "ack-deadline": "ackDeadlineSeconds",
        "min-retry-delay": "retryPolicy.minimumBackoff",
        "max-retry-delay": "retryPolicy.maximumBackoff",
        "expiration-period": "expirationPolicy.ttl",
        "dead-letter-topic": "deadLetterPolicy.deadLetterTopic",
        "max-delivery-attempts": "deadLetterPolicy.maxDeliveryAttempts",
    },
    "storage buckets create": {
        "location": "location",
        "uniform-bucket-level-access": "iamConfiguration.uniformBucketLevelAccess.enabled",
        "public-access-prevention": "iamConfiguration.publicAccessPrevention",
        "soft-delete-duration": "softDeletePolicy.retentionDurationSeconds",
        "retention-period": "retentionPolicy.retentionPeriod",
        "default-encryption-key": "encryption.defaultKmsKeyName",
    },
    "scheduler jobs create": {"schedule": "schedule", "time-zone": "timeZone", "topic": "pubsubTarget.topicName"},
}
_UNCHANGEABLE = {"pubsub subscriptions create": {"topic", "message-filter"}, "storage buckets create": {"location"}}
_TOGETHER = (
    {"push-endpoint", "push-auth-service-account", "push-auth-token-audience"},
    {"min-retry-delay", "max-retry-delay"},
    {"dead-letter-topic", "max-delivery-attempts"},
)
_AREAS = (
    ("services identity", "service agents"),
    ("storage service-agent", "service agents"),
    ("services", "services"),
    ("iam service-accounts create", "service accounts"),
    ("iam roles", "custom roles"),
    ("storage buckets notifications", "notification"),
    ("storage buckets", "buckets"),
    ("pubsub topics", "topics"),
    ("pubsub subscriptions", "subscriptions"),
    ("artifacts", "images"),
    ("builds", "images"),
    ("functions", "functions"),
    ("scheduler", "clock"),
    ("logging", "metrics"),
    ("monitoring", "alerts"),
)


def examined(step: Step, place: Place) -> Finding:
    """What is to be said of one step of the plan."""
    area, title, look = area_of(step), place.filled(step.title), step.look
    if look is None or not place.offers(look.command):
        return Finding(area, title, "not applicable")
    found = place.look(look.command)
    if absent(found.answer):
        if not step.make:  # what is not there holds nothing too much
            return Finding(area, title, "fine")
        return Finding(area, title, "wrong", "it is not there", place.mending(step.make, there=False))
    if found.answer.status:
        return unknown(area, title, look.command, found, place)
    if look.wanted(found.answer.out):
        return _compared(step, area, title, found.resource, place)
    if step.frozen:
        return Finding(area, title, "wrong", step.frozen, place.mending((*step.remove, *step.make), there=True))
    out = found.answer.out
    mend = step.change(out) if step.change else step.make
    return Finding(area, title, "wrong", look.says(out), place.mending(mend, there=False))


def unknown(area: str, what: str, look: Command, found: Looked, place: Place) -> Finding:
    """What could not be looked at; an API that is not enabled can be."""
    disabled = found.answer.err.startswith(DISABLED)
    mend = place.mending((("services", "enable", api(look)),), there=False) if disabled else ()
    return Finding(area, what, "unknown", found.answer.err, mend)


def area_of(step: Step) -> str:
    """The part of a deployment that a step belongs to."""
    first = (*step.make, *step.may)[0]
    said = " ".join(words(first))
    if "iam-policy-binding" in said:
        return "dead-letter permissions" if "@gcp-sa-pubsub." in " ".join(first) else "roles"
    return next((area for beginning, area in _AREAS if said.startswith(beginning)), said.split(" ", 1)[0])


def typed(command: Command, project: str) -> str:
    """A command of the plan as a person types it."""
    said = words(command)[0] == "projects" or any(each.startswith("--project=") for each in command)
    own = () if said else (f"--project={project}",)
    return f"gcloud {shlex.join((*command, *own))}"


def _compared(step: Step, area: str, title: str, resource: Any, place: Place) -> Finding:
    for command in step.make:
        kind = next((each for each in _FIELDS if " ".join(words(command)).startswith(each)), None)
        differing = list(_differences(command, _FIELDS[kind], resource, place)) if kind else []
        if kind is None or not differing:
            continue
        why = "; ".join(f"{flag} is {found or 'not set'}, not {wanted}" for flag, wanted, found in differing)
        flags = {flag for flag, _, _ in differing}
        if flags & _UNCHANGEABLE.get(kind, set()):
            return Finding(area, title, "wrong", why, place.mending((*step.remove, *step.make), there=True))
        return Finding(area, title, "wrong", why, place.mending((_update(command, kind, flags),), there=True))
    return Finding(area, title, "fine")


def _differences(
    command: Command, fields: Mapping[str, str], resource: Any, place: Place
) -> Iterator[tuple[str, str, str]]:
    for argument in command:
        flag, _, said = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and flag in fields and place.compares(flag):
            wanted, found = place.filled(said), at(resource, fields[flag])
            # What is not known, such as the address of a function that is not there, cannot differ.
            if "{" not in wanted and not _same(wanted, found):
                yield flag, wanted or "set", str(found)


def _same(wanted: str, found: Any) -> bool:
    """Whether a flag's value and a field's say the same: times in seconds, names with or without what they are in."""
    if wanted in ("", "never"):
        return bool(found) == (wanted == "")
    times = _DURATION.fullmatch(wanted), _DURATION.fullmatch(str(found))
    if times[0] and times[1]:
        return float(times[0][1]) == float(times[1][1])
    return str(found).casefold() == wanted.casefold() or str(found).endswith(f"/{wanted}")


def _update(command: Command, kind: str, differing: set[str]) -> Command:
    """The command that makes a thing, turned into the one that changes what differs, with what can only go together."""
    changed = differing.union(*(group for group in _TOGETHER if group & differing))
    kept = (each for each in command if (flag := each[2:].partition("=")[0]) in changed or flag not in _FIELDS[kind])
    return tuple("update" if each == "create" else each for each in kept)
