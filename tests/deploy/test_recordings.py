"""The stand-in against answers recorded from the real gcloud: the plan cannot tell the one from the other.

`recordings.jsonl` holds each look of a second run over a complete deployment, and what a first run was refused;
`recorded_wiring.json` is the wiring of that day.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.gcloud import Answer, absent, unsettled
from deploy.plan import plan
from tests.deploy.deploying import TARGET, runner
from tests.deploy.standin import StandIn

RECORDINGS = [json.loads(line) for line in Path(__file__).with_name("recordings.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def complete() -> StandIn:
    wired = json.loads(Path(__file__).with_name("recorded_wiring.json").read_text())
    recorded = replace(TARGET, key="")
    gcloud = StandIn()
    assert runner(gcloud).deploy(plan(recorded, wired)).failure == ""
    return gcloud


def seen(out: str) -> Any:
    """What a plan reads in an answer: bindings, a role, the names of a list with what they are compared by, a text."""
    if not out.lstrip().startswith(("{", "[")):
        return sorted(out.lower().split())
    found = json.loads(out)
    if isinstance(found, dict) and "includedPermissions" in found:
        return sorted(found["includedPermissions"]), found["stage"], found.get("deleted", False)
    if isinstance(found, dict):
        bindings = found.get("bindings", [])
        return sorted((each["role"], member) for each in bindings for member in each["members"])
    return sorted(_named(each) for each in found)


def _named(entry: dict[str, Any]) -> tuple[str, ...]:
    configuration = entry.get("Notification Configuration")
    if configuration:
        return (configuration["topic"],)
    labels = entry.get("userLabels") or entry.get("labels") or {}
    mine = () if "serin" not in labels else (labels["serin"], *labels)  # these are numbered by Google
    name = str(entry.get("email") or entry["name"]).rpartition("/")[2]
    return (*(mine or (name,)), str(entry.get("filter", "")))


@pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda each: " ".join(each["command"][:5]))
def test_the_stand_in_answers_as_gcloud_did(recorded: dict[str, Any], complete: StandIn) -> None:
    real = Answer(recorded["status"], recorded["out"], recorded["err"])
    gcloud = StandIn() if real.status else StandIn(complete.standing)
    answer = gcloud(tuple(recorded["command"]))
    assert (answer.status == 0, absent(answer)) == (real.status == 0, absent(real))
    assert not unsettled(real)
    assert real.status or seen(answer.out) == seen(real.out)
