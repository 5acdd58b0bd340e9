"""Puts a mistake into the real code of a function for a while: a piece of one of its modules, rewritten."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.faults import deliveries

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bug:
    """One mistake: `old` in the file is `new`."""

    name: str
    path: str
    old: str
    new: str


@contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """The code with the mistake for as long as the block runs."""
    source = (ROOT / bug.path).read_text()
    if source.count(bug.old) != 1:
        raise AssertionError(f"{bug.name}: {bug.old!r} stands {source.count(bug.old)} times in {bug.path}")
    wrong = compile(source.replace(bug.old, bug.new), bug.path, "exec")
    with _in_function(bug, wrong):
        yield


@contextmanager
def _in_function(bug: Bug, wrong: Any) -> Iterator[None]:
    folder = (ROOT / bug.path).parent
    names = [path.stem for path in folder.glob("*.py")]
    deliveries.entry_point(folder.name)
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    twin = ModuleType(Path(bug.path).stem)
    sys.modules[twin.__name__] = twin
    deliveries.entry_point.cache_clear()
    try:
        exec(wrong, twin.__dict__)
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)
        deliveries.entry_point.cache_clear()
