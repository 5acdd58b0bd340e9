"""Where a service keeps its data: a folder that was named, or one that goes with the service."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def data_folder(named: Path | None) -> Iterator[Path]:
    """The folder named; without one a new folder, removed at the end of the block."""
    if named is not None:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="serin-local-") as made:
        yield Path(made)
