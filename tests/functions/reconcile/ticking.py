"""What a tick of the clock brings out: the events that are due, and those that people come to hear."""

from shared.envelope import Envelope
from shared.errors import Transient
from shared.events import Event, ModelStaged
from shared.foreign import DATA_UPLOADED
from shared.ids import RunId
from shared.settings import current
from tests.functions.standing_rollout import MODEL
from tests.functions.standing_run import RUN, ledger, open_run, published
from tests.world.cloud import MemoryCloud
from tests.world.running import send, settle, tick

PLACE = "gs://artefacts/digits/digits-000002/1/model/"


def known(cloud: MemoryCloud) -> MemoryCloud:
    """A model that has settings, its first run long over."""
    cloud.data.put("settings/digits.toml", b'[data]\ntarget = "digit"\n[threshold]\nat_least = 100\n')
    assert current(ledger(cloud), cloud.data, MODEL) is not None
    open_run(cloud, RunId("digits-000001"))
    return cloud


def due(cloud: MemoryCloud) -> list[Event]:
    assert tick(cloud) == 200
    cloud.bus.messages = [each for each in cloud.bus.messages if each[0] != DATA_UPLOADED]
    return published(cloud)


def lost(cloud: MemoryCloud, function: str, said: Envelope) -> None:
    """A delivery that dies before it publishes, and is given up."""
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "timeout")
    assert send(cloud, function, said) == 500


def heard(cloud: MemoryCloud) -> list[str]:
    """The topics of what the next tick says; whoever tells people has taken it in."""
    assert tick(cloud) == 200
    told = [topic for topic, _ in cloud.bus.messages if topic != DATA_UPLOADED]
    settle(cloud, lambda function: function == "notify")
    return told


def staged() -> ModelStaged:
    return ModelStaged(model=MODEL, run=RUN, version="v", artefacts=PLACE, endpoint="e", deployed_model="2")
