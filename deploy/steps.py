"""What a plan is made of: steps that look before they make, so that a plan carried out twice changes nothing."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# gcloud's arguments; {number}, {uri:F} and their like (deploy/filling.py) are filled in when they are known.
Command = tuple[str, ...]


@dataclass(frozen=True)
class Look:
    """A command that tells whether a thing is there, and whether its answer is what the plan wants.

    `among` lists all things of the kind, each as `command` would tell it: one look for many steps. `says` tells people
    in what an answer that is not wanted differs.
    """

    command: Command
    wanted: Callable[[str], bool] = lambda _: True
    among: Command = ()
    says: Callable[[str], str] = lambda _: "it is not as planned"


@dataclass(frozen=True)
class Step:
    """One thing on Google Cloud: how to see, make and remove it.

    Without `look`, making is repeatable by itself. `frozen` says why a thing that differs cannot be changed in place;
    one that is `renewed` is removed and made again; `change` tells from the look's answer which commands bring one to
    plan, where that is not making it, and `may` shows people which those may be. A step that makes nothing only takes
    away what is too much; a removal does so too, unless the thing `stays`. Neighbours with the same `together` do not
    wait for each other, except those `on` the same thing: a policy can be changed by one at a time. `thing` is what
    others are on.
    """

    title: str
    make: tuple[Command, ...]
    look: Look | None = None
    remove: tuple[Command, ...] = ()
    frozen: str = ""
    renewed: bool = False
    change: Callable[[str], tuple[Command, ...]] | None = None
    may: tuple[Command, ...] = ()
    stays: bool = False
    together: str = ""
    thing: str = ""
    on: str = ""


def removable(steps: Sequence[Step]) -> list[Step]:
    """The steps of a removal, last made first."""
    return [step for step in reversed(steps) if step.remove or not (step.make or step.stays)]


def thing(group: Command, name: str) -> str:
    """What a step makes, or gives a role on, in one word."""
    return " ".join((*group, name))


def bound(role: str, member: str) -> Callable[[str], bool]:
    """Whether a policy in JSON holds a binding; `{number}` in the member stands for any project number."""
    wanted = re.compile(re.escape(member).replace(r"\{number\}", r"\d+"))

    def holds(answer: str) -> bool:
        bindings = json.loads(answer or "{}").get("bindings", [])
        return any(each["role"] == role and any(map(wanted.fullmatch, each["members"])) for each in bindings)

    return holds


def field(path: str, value: str) -> Callable[[str], bool]:
    """Whether an answer in JSON has a value at a dotted path; a missing field is the empty string."""

    def holds(answer: str) -> bool:
        found = json.loads(answer or "{}")
        for name in path.split("."):
            found = found.get(name, "") if isinstance(found, dict) else ""
        return bool(found == value)

    return holds


def both(first: Callable[[str], bool], second: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether an answer has what both look for."""
    return lambda answer: first(answer) and second(answer)


def listed(labels: str, wanted: dict[str, str]) -> Callable[[str], bool]:
    """Whether a list in JSON has an entry with these labels."""

    def holds(answer: str) -> bool:
        return any(wanted.items() <= each.get(labels, {}).items() for each in json.loads(answer or "[]"))

    return holds
