"""The wiring as a file, because a deployment must not need an environment in which the event catalogue can be imported.

`python -m deploy.table` writes it anew; a test holds that it is current.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("wiring.json")


def load() -> dict[str, Any]:
    """The wiring as it was last written."""
    table: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return table


def derive() -> dict[str, Any]:
    """The wiring as the code says it; needs the installed environment."""
    from shared import wiring
    from shared.foreign import CLOCK_TICKED, DATA_UPLOADED, DEAD_LETTERS

    return {
        "topics": list(wiring.TOPICS),
        "data_uploaded": DATA_UPLOADED,
        "clock_ticked": CLOCK_TICKED,
        "dead_letters": DEAD_LETTERS,
        "tick_schedule": wiring.TICK_SCHEDULE,
        "ack_deadline_seconds": wiring.ACK_DEADLINE_SECONDS,
        "max_delivery_attempts": wiring.MAX_DELIVERY_ATTEMPTS,
        "retry_min_seconds": int(wiring.RETRY_MIN_SECONDS),
        "retry_max_seconds": int(wiring.RETRY_MAX_SECONDS),
        "function_timeout_seconds": wiring.FUNCTION_TIMEOUT_SECONDS,
        "subscriptions": [
            {"name": each.name, "function": each.function, "topic": each.topic, "filter": each.filter}
            for each in wiring.SUBSCRIPTIONS
        ],
        "metrics": [asdict(metric) for metric in wiring.METRICS],
        "functions": {
            name: {
                "publishes": list(wiring.may_publish(name)),
                "reads_data": name in wiring.READS_DATA,
                "reads_artefacts": name in wiring.READS_ARTEFACTS,
                "writes_artefacts": name in wiring.WRITES_ARTEFACTS,
                "vertex": sorted(wiring.VERTEX.get(name, ())),
                "cloud_run": sorted(wiring.CLOUD_RUN.get(name, ())),
                "starts_jobs": name in wiring.STARTS_JOBS,
                "memory_mebibytes": wiring.MEMORY_MEBIBYTES[name],
            }
            for name in wiring.FUNCTIONS
        },
    }


def text(table: dict[str, Any]) -> str:
    """The table as it stands in the file."""
    return json.dumps(table, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(derive()), encoding="utf-8")
