"""Objects become files of one folder: an object's name is somebody else's word, and never leads out of the folder."""

import re
from pathlib import Path

from shared.errors import BadInput
from shared.store import Store

# What artefacts are called: model.onnx, report.html. No separator of any system, nothing hidden, no device of Windows.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(key: str) -> str | None:
    """The name of the file for an object, the last part of its key; None if that may not be the name of a file."""
    last = key.rsplit("/", 1)[-1]
    return last if _NAME.fullmatch(last) and not _DEVICES.fullmatch(last) else None


def download(store: Store, prefix: str, folder: Path) -> list[Path]:
    """Writes every object below the prefix into the folder; BadInput, and nothing is written, if a name is wicked."""
    named = [(entry.key, file_name(entry.key)) for entry in store.entries(prefix)]
    if strange := [key for key, name in named if name is None]:
        raise BadInput("artefacts", [f"{key!r} is no name for a file" for key in strange])
    if len({name for _, name in named}) < len(named):
        raise BadInput("artefacts", [f"two objects below {prefix} would be the same file"])
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for key, name in named:
        place = folder / str(name)
        if place.is_symlink():
            raise BadInput("artefacts", [f"{place} is a link: it would be written through"])
        place.write_bytes(store.read(key) or b"")
        written.append(place)
    return written
