"""How long it takes on this machine, on the wire: from a dropped file to a training job, and to production."""

import io
import tempfile
from datetime import datetime
from pathlib import Path

from rich.console import Console

from bench.report import Row
from cli.demo.cloud import LocalCloud
from cli.demo.play import played, staged
from cli.demo.stage import MODEL, Stage
from shared.ids import RunId, run_id
from shared.ledger import run_key

_ACTS = 3
_PATIENCE = 4.0  # a busy machine is measured, not refused


def measured() -> list[Row]:
    """The demo's first acts, their times read off the servers' own clocks."""
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder:
        console = Console(file=io.StringIO())
        with staged(LocalCloud(Path(folder) / "home"), 1, console) as stage:
            stage.patience = _PATIENCE
            if not all(played(stage, _ACTS)):
                raise RuntimeError("an act ended otherwise than told")
            first, second = run_id(MODEL, 1), run_id(MODEL, 2)
            return [
                Row("drop to training job submitted, functions cold", _submitted(stage, "act2", first), "s"),
                Row("drop to training job submitted, functions warm", _submitted(stage, "act3", second), "s"),
                Row("drop to first model in production", _since(stage, "act2", first, "end"), "s"),
                Row("drop to a better model at 100 %", _since(stage, "act3", second, "end"), "s"),
            ]


def _submitted(stage: Stage, upload: str, run: RunId) -> float:
    return _since(stage, upload, run, "job-1")


def _since(stage: Stage, upload: str, run: RunId, name: str) -> float:
    """Seconds from the moment the act's file was there until the run's record was."""
    (dropped,) = [entry.created for entry in stage.cloud.data.entries(f"data/{MODEL}/") if f"/{upload}-" in entry.key]
    return (_created(stage, run_key(run, name)) - dropped).total_seconds()


def _created(stage: Stage, key: str) -> datetime:
    entry = stage.cloud.state.stat(key)
    if entry is None:
        raise RuntimeError(f"{key} does not stand")
    return entry.created
