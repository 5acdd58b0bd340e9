"""Puts a mistake into the real code for a while: a piece of one of its modules, rewritten.

The module's source is patched as text and compiled; every function whose code differs then runs the patched code until
the block ends. Whoever has imported the function runs it too, since the function itself stays the same object.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.faults import deliveries
from tests.faults.replaying import replay

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Bug:
    """One mistake: `old` in the file is `new`; in the words of its name, what is wrong now."""

    name: str
    path: str
    old: str
    new: str


def pasted(line: str) -> None:
    """What a test would do that consists of this line, as an exploration prints it; raises what the test would."""
    exec(compile(line, "pasted", "exec"), {"replay": replay})


@contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """The code with the mistake for as long as the block runs; AssertionError when the patch fits no longer."""
    changed = _changed(bug)
    before = [(function, function.__code__) for function, _ in changed]
    try:
        for function, code in changed:
            function.__code__ = code
        yield
    finally:
        for function, code in before:
            function.__code__ = code


def _changed(bug: Bug) -> list[tuple[FunctionType, CodeType]]:
    """The functions that the patch changes, with their patched code."""
    source = (ROOT / bug.path).read_text()
    if source.count(bug.old) != 1:
        raise AssertionError(f"{bug.name}: {bug.old!r} stands {source.count(bug.old)} times in {bug.path}")
    module = _module(bug.path)
    twin = ModuleType(module.__name__)
    exec(compile(source.replace(bug.old, bug.new), str(ROOT / bug.path), "exec"), twin.__dict__)
    wrong = _functions(twin)
    pairs = [(function, wrong[name].__code__) for name, function in _functions(module).items() if name in wrong]
    changed = [(function, code) for function, code in pairs if _differs(function.__code__, code)]
    if not changed:
        raise AssertionError(f"{bug.name}: no function is any different")
    return changed


def _module(path: str) -> ModuleType:
    parts = Path(path).with_suffix("").parts
    if parts[0] != "functions":
        return importlib.import_module(".".join(parts))
    deliveries.entry_point(parts[1])
    return sys.modules[parts[2]]


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """A module's functions and its classes' methods and properties, by their names."""
    found: dict[str, FunctionType] = {}
    for name, value in vars(module).items():
        if isinstance(value, type) and value.__module__ == module.__name__:
            methods = {f"{name}.{key}": _plain(each) for key, each in vars(value).items()}
            found |= {key: each for key, each in methods.items() if each is not None}
        elif isinstance(value, FunctionType) and value.__module__ == module.__name__:
            found[name] = value
    return found


def _plain(value: Any) -> FunctionType | None:
    inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
    return inner if isinstance(inner, FunctionType) else None


def _differs(one: CodeType, other: CodeType) -> bool:
    """Whether two codes do something different; where their lines stand does not matter."""
    if (one.co_code, one.co_names, one.co_varnames, one.co_freevars) != (
        other.co_code, other.co_names, other.co_varnames, other.co_freevars,
    ):  # fmt: skip
        return True
    if len(one.co_consts) != len(other.co_consts):
        return True
    return any(_constant_differs(*pair) for pair in zip(one.co_consts, other.co_consts, strict=True))


def _constant_differs(one: Any, other: Any) -> bool:
    if isinstance(one, CodeType) and isinstance(other, CodeType):
        return _differs(one, other)
    return bool(one != other)
