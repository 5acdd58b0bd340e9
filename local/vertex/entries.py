"""The one question of Cloud Logging's API that Serin asks: the last lines of a training job's output.

Jobs of Cloud Run keep their logs in that service's folder, which is read here: Google has one log for both, too.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from local import fields
from local.errors import CloudError, Status
from local.fields import Document
from local.vertex.job_runs import Jobs

PATH = "/v2/entries:list"
_FILTER = re.compile(
    r'resource\.type="ml_job" AND resource\.labels\.job_id="(?P<vertex>[0-9]+)"'
    r'|resource\.type="cloud_run_job" AND resource\.labels\.job_name="(?P<run>[a-z0-9-]+)"'
)
_MAX_ENTRIES = 1_000
_MAX_TAIL_BYTES = 1_000_000


def listed(jobs: Jobs, run_data: Path | None, asked: Document) -> Document:
    """The newest entries first; INVALID_ARGUMENT for any other question than for a training job's entries."""
    match = _FILTER.fullmatch(fields.text(asked, "filter"))
    if match is None or fields.text(asked, "orderBy") != "timestamp desc":
        raise CloudError(Status.INVALID_ARGUMENT, "Only a training job's entries, newest first, can be listed here.")
    wanted = min(int(asked.get("pageSize") or _MAX_ENTRIES), _MAX_ENTRIES)
    path = jobs.log_of_number(match["vertex"]) if match["vertex"] else _of_run(run_data, match["run"])
    lines = _lines(path)[-wanted:] if path is not None and path.exists() else []
    stamp = datetime.now(UTC).isoformat()
    return {"entries": [{"textPayload": line, "timestamp": stamp} for line in reversed(lines)]}


def _of_run(run_data: Path | None, job: str) -> Path | None:
    return run_data / "logs" / f"job-{job}.log" if run_data else None


def _lines(path: Path) -> list[str]:
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - _MAX_TAIL_BYTES))
        return log.read().decode(errors="replace").splitlines()
