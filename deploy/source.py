"""What a function's deployment uploads: its files, its pinned requirements and `shared` as a wheel, reproducibly."""

import base64
import hashlib
import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WHEEL = "serin_shared-0.1.0-py3-none-any.whl"
_INFO = "serin_shared-0.1.0.dist-info"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@cache
def wheel(root: Path = ROOT) -> bytes:
    """`shared` as a wheel; the same files give the same bytes."""
    found = sorted(path for path in (root / "shared").rglob("*") if path.suffix in (".py", ".toml"))
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
    files[f"{_INFO}/METADATA"] = b"Metadata-Version: 2.1\nName: serin-shared\nVersion: 0.1.0\n"
    files[f"{_INFO}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: serin\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{_INFO}/RECORD"] = _record(files).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return packed.getvalue()


def files_of(function: str, root: Path = ROOT) -> dict[str, bytes]:
    """Name and content of every file of a function's source."""
    folder = root / "functions" / function
    shared = wheel(root)
    pinned = (folder / "requirements.txt").read_text(encoding="utf-8")
    own = f"./{WHEEL} --hash=sha256:{hashlib.sha256(shared).hexdigest()}\n"
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    return {**files, "requirements.txt": (pinned + own).encode(), WHEEL: shared}


def write(function: str, folder: Path, root: Path = ROOT) -> None:
    """Puts a function's source into an empty folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files_of(function, root).items():
        (folder / name).write_bytes(content)


def digest(files: dict[str, bytes], *more: str) -> str:
    """A label's worth of hash over files and whatever else a deployment depends on."""
    found = hashlib.sha256()
    for part in (*(p for name in sorted(files) for p in (name.encode(), files[name])), *(m.encode() for m in more)):
        found.update(len(part).to_bytes(8, "big") + part)
    return found.hexdigest()[:32]


def digest_of(configuration: dict[str, Any]) -> str:
    """The same over a configuration, by which a later one is told from it."""
    return digest({}, json.dumps(configuration, sort_keys=True))


def _record(files: dict[str, bytes]) -> str:
    def line(name: str, content: bytes) -> str:
        hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        return f"{name},sha256={hashed},{len(content)}"

    return "\n".join([*(line(*each) for each in files.items()), f"{_INFO}/RECORD,,"]) + "\n"
