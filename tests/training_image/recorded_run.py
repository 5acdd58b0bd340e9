"""A run as it stands in the ledger before its job starts."""

from typing import Any

from shared.ids import UploadId
from shared.ledger import Author, Ledger
from shared.settings import Settings
from shared.tables.checksum import content_id_of
from shared.windows import Upload as Stored
from tests.world.cloud import MemoryCloud
from training_image.job import Order, read_order

VARIABLES = {"SERIN_RUN": "demo-000002", "SERIN_ATTEMPT": "1", "CLOUD_ML_JOB_ID": "77", "SERIN_CAUSE": "cause-1"}
ROWS = "size,y\n" + "".join(f"{value},{'big' if value >= 20 else 'small'}\n" for value in range(40))
MORE = "size,y\n" + "".join(f"{value + 0.5},{'big' if value >= 20 else 'small'}\n" for value in range(40))
SCHEMA = {"size": "number", "y": "text"}


def order(**variables: str) -> Order:
    return read_order({**VARIABLES, **variables}, "artefacts")


def ledger(cloud: MemoryCloud) -> Ledger:
    return Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))


def drop(cloud: MemoryCloud, name: str, text: str) -> dict[str, Any]:
    """Puts rows into the data bucket; answers them as a window record lists them."""
    entry = cloud.data.put(name, text.encode())
    content = content_id_of(text.encode())
    return Stored(UploadId(name), "data", name, entry.generation, content, text.count("\n") - 1).to_json()


def window_of(
    uploads: list[dict[str, Any]],
    earlier: list[dict[str, Any]] | None = None,
    champion: dict[str, Any] | None = None,
    **sections: dict[str, Any],
) -> dict[str, Any]:
    """What a closed window's record holds."""
    training = {"candidates": ["LogisticRegression", "RandomForest"]}
    settings = Settings.model_validate({"data": {"target": "y"}, "training": training, **sections})
    return {
        "uploads": uploads,
        "earlier": earlier or [],
        "champion": champion,
        "schema": SCHEMA,
        "settings": settings.model_dump(mode="json"),
        "settings_generation": 7,
    }
