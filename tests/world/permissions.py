"""The permissions of Google Cloud in memory: a function may do what the wiring says and nothing else, in every test."""

from shared import wiring

_READING = {"storage.read", "storage.open", "storage.stat", "storage.list"}
Use = tuple[str, str, str]
"""A function, what it is about, and what is done to it: `stage_model`, `state`, `storage.create`."""


class Unpermitted(BaseException):
    """An effect that IAM would refuse; no handler may take it for anything else."""


def permitted(use: Use) -> bool:
    """Whether the wiring gives a function what it does."""
    function, thing, effect = use
    match thing:
        case "state":
            return effect in _READING | {"storage.create"}
        case "data":
            return effect in _READING and function in wiring.READS_DATA
        case "artefacts" if effect == "storage.create":
            return function in wiring.WRITES_ARTEFACTS
        case "artefacts":
            return effect in _READING and function in wiring.READS_ARTEFACTS
        case "vertex":
            return effect in wiring.VERTEX.get(function, ())
        case "run":
            return effect in wiring.CLOUD_RUN.get(function, ())
    return effect == "pubsub.publish" and thing in wiring.may_publish(function)


def granted() -> set[Use]:
    """What the wiring gives: reading as one, topics and calls of Vertex AI and Cloud Run one by one."""
    given: set[Use] = {(function, "data", "read") for function in wiring.READS_DATA}
    given |= {(function, "artefacts", "read") for function in wiring.READS_ARTEFACTS}
    given |= {(function, "artefacts", "storage.create") for function in wiring.WRITES_ARTEFACTS}
    given |= {(function, "vertex", call) for function, calls in wiring.VERTEX.items() for call in calls}
    given |= {(function, "run", call) for function, calls in wiring.CLOUD_RUN.items() for call in calls}
    return given | {(name, topic, "pubsub.publish") for name in wiring.FUNCTIONS for topic in wiring.may_publish(name)}


def in_terms_of_grants(use: Use) -> Use:
    """A use as `granted` tells it."""
    function, thing, effect = use
    return (function, thing, "read") if effect in _READING else use


EVERY_USE: set[Use] = set()
"""What functions did in this process, all worlds together."""


def unneeded(used: set[Use]) -> set[Use]:
    """What the wiring gives and nobody has used."""
    return granted() - {in_terms_of_grants(use) for use in used}
