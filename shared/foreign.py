"""The messages that are not ours: storage notifications, clock ticks and dead letters, as the services send them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from shared.envelope import Message
from shared.errors import BadInput

DATA_UPLOADED = "data-uploaded"
CLOCK_TICKED = "clock-ticked"
DEAD_LETTERS = "dead-letters"


@dataclass(frozen=True)
class ObjectFinalized:
    """A new generation of an object; its identity is (bucket, name, generation), never the message's id."""

    bucket: str
    name: str
    generation: int

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str]) -> Self | None:
        """What a storage notification tells; None for a deletion, an archiving or a change of metadata.

        Raises BadInput with every attribute that is missing or wrong.
        """
        if attributes.get("eventType", "OBJECT_FINALIZE") != "OBJECT_FINALIZE":
            return None
        reasons = [f"attribute {name} is missing" for name in _IDENTITY if not attributes.get(name)]
        generation = attributes.get("objectGeneration", "")
        if generation and not generation.isdecimal():
            reasons.append("attribute objectGeneration is not a number")
        if reasons:
            raise BadInput("storage notification", reasons)
        return cls(attributes["bucketId"], attributes["objectId"], int(generation))


def generation_of(message: Message) -> str:
    """What a storage notification is about, by its identity; as far as it says."""
    bucket, name, generation = (message.attributes.get(attribute, "") for attribute in _IDENTITY)
    return f"{bucket}/{name}#{generation}"


@dataclass(frozen=True)
class ClockTicked:
    """Time has passed; says nothing else and is never deduplicated."""


@dataclass(frozen=True)
class DeadLetter:
    """A message that a subscription gave up; `published` is when it came on its topic, empty if that is not told."""

    subscription: str
    attempts: int
    attributes: Mapping[str, str]
    data: bytes
    published: str = ""


_IDENTITY = ("bucketId", "objectId", "objectGeneration")
