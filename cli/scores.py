"""What became of the files that were dropped to be scored."""

from typing import Any

from shared.ids import ModelName
from shared.ledger import Ledger, score_key

_TOLD = ("version", "run", "rows", "scored", "bad", "results", "reasons")


def scores(ledger: Ledger, model: ModelName) -> list[dict[str, Any]]:
    """Every file of a model that was or is being scored, in the order of their beginnings."""
    found = [_line(ledger, model, upload) for upload in ledger.store.folders(f"scores/{model}/")]
    return sorted(found, key=lambda line: str(line["at"]))


def _line(ledger: Ledger, model: ModelName, upload: str) -> dict[str, Any]:
    opened, prepared, end = (ledger.find(score_key(model, upload, name)) for name in ("opened", "prepared", "end"))
    first = opened or end
    known: dict[str, Any] = {}
    for record in (opened, prepared, end):
        known |= record.data if record else {}
    told = {name: known.get(name) for name in _TOLD}
    if told["version"]:
        told["version"] = told["version"].rsplit("@", 1)[-1]
    at = first.at.isoformat(timespec="seconds") if first else None
    outcome = end.data["outcome"] if end else "being scored"
    return {"file": upload, "at": at, "name": known.get("name"), "outcome": outcome, **told}
