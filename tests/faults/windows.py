"""The window protocol: uploads come in while their window is closed; each row ends in exactly one window."""

from shared.envelope import Message
from shared.ledger import Outcome
from tests.faults.exploration import Case
from tests.faults.scheduler import Delivery
from tests.functions.standing_run import event, ledger
from tests.world.cloud import MemoryCloud
from tests.world.running import announcement

SETTINGS = b'[data]\ntarget = "digit"\n[threshold]\nat_least = 1\n'


def upload(cloud: MemoryCloud, number: int) -> Delivery:
    name = f"data/digits/{number}.csv"
    entry = cloud.data.put(name, f"p0,digit\n{number},3\n".encode())
    return Delivery("check_rows", "data-uploaded", Message(announcement(name, entry.generation), b"{}"), name)


def closer() -> Delivery:
    envelope = event("training-requested")
    return Delivery("launch_training", envelope.topic, Message(envelope.attributes(), envelope.data()), "close 1")


def accounted(cloud: MemoryCloud) -> str:
    """Which accepted upload is in no window or in two; nothing if each is in exactly one."""
    told = ledger(cloud)
    closed = told.find("windows/digits/000001")
    listed = [each["id"] for each in closed.data["uploads"]] if closed else []
    waiting = [entry.key.rsplit("/", 1)[-1] for entry in told.entries(f"pending/digits/{2 if closed else 1:06d}/")]
    accepted = [
        entry.key.rsplit("/", 1)[-1]
        for entry in told.entries("uploads/digits/")
        if told.require(entry.key).data["verdict"] == "accepted"
    ]
    places = {name: listed.count(name) + waiting.count(name) for name in [*accepted, *listed, *waiting]}
    return f"counted so often: {places}" if set(places.values()) != {1} else ""


def uploads_and_closers(uploads: int, closers: int) -> Case:
    cloud = MemoryCloud()
    cloud.data.put("settings/digits.toml", SETTINGS)
    ledger(cloud).record("schemas/digits", Outcome({"columns": {"p0": "number", "digit": "number"}}))
    deliveries = [upload(cloud, number) for number in range(uploads)]
    closing = [Delivery(*(getattr(closer(), name) for name in ("function", "topic", "message")), f"close {each}")
               for each in range(closers)]  # fmt: skip
    return Case(cloud, [*closing, *deliveries], copies=1, goal=accounted)
