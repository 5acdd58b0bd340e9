"""Where a challenger comes from: enough to train it again, and to see what differs when the outcome does."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from training_image.libraries import library_versions
from training_image.run_record import RunRecord

_ROOT = Path(__file__).parents[1]
_SOURCES = ("shared", "training_image")
_GIT_TIMEOUT_SECONDS = 10.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Code(_Frozen):
    """What was run: the image as it was ordered, and the source in it by digest; the commit where one is known."""

    image: str
    source_sha256: str
    commit: str | None = None


class Source(_Frozen):
    """One object that was trained on."""

    object: str
    generation: int
    content: str
    rows: int


class Lineage(_Frozen):
    """Everything that a training was made from."""

    run: str
    attempt: int
    window: tuple[Source, ...]
    earlier: tuple[Source, ...]
    rows: int
    settings_generation: int
    settings: Mapping[str, Any]
    schema_of_columns: Mapping[str, str]
    champion: Mapping[str, Any] | None
    code: Code
    library_versions: Mapping[str, str]
    seeds: Mapping[str, int]


def lineage_of(record: RunRecord, attempt: int, code: Code, seeds: Mapping[str, int]) -> Lineage:
    """The lineage of one attempt at a run."""
    window, earlier = ([_source(one) for one in uploads] for uploads in (record.window, record.earlier))
    return Lineage(
        run=record.plan.run,
        attempt=attempt,
        window=tuple(window),
        earlier=tuple(earlier),
        rows=sum(one.rows for one in (*window, *earlier)),
        settings_generation=record.settings_generation,
        settings=record.plan.settings.model_dump(mode="json"),
        schema_of_columns=dict(record.plan.schema or {}),
        champion=record.champion,
        code=code,
        library_versions=library_versions(),
        seeds=seeds,
    )


def code_of(variables: Mapping[str, str]) -> Code:
    """What this process runs: the image from the order, the commit from the image's build or from a checkout."""
    commit = variables.get("SERIN_COMMIT") or _checked_out(_ROOT)
    return Code(image=variables.get("SERIN_TRAINING_IMAGE", ""), source_sha256=_source_sha256(), commit=commit)


@cache
def _source_sha256() -> str:
    """One digest of every Python file that training imports from this project."""
    digest = hashlib.sha256()
    for path in sorted(path for package in _SOURCES for path in (_ROOT / package).rglob("*.py")):
        digest.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(_ROOT)}\n".encode())
    return digest.hexdigest()


@cache
def _checked_out(root: Path) -> str | None:
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None


def _source(stored: Any) -> Source:
    return Source(
        object=f"gs://{stored.bucket}/{stored.name}", generation=stored.generation, content=stored.content,
        rows=stored.rows,
    )  # fmt: skip
