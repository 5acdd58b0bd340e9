"""Every effect that the code has, by its name, read off the source: what is asked of a door."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ("shared", "functions")
_DOORS = ("door", "_door")


@dataclass(frozen=True)
class Passage:
    """One call of a door; `name` is None where the effect's name is not written there."""

    name: str | None
    path: str
    line: int


def passages() -> list[Passage]:
    """Every place where the functions' code passes the door."""
    return [passage for path in sources() for passage in _in_file(path)]


def sources() -> list[Path]:
    return sorted(path for folder in SOURCES for path in (ROOT / folder).rglob("*.py"))


def effect_names() -> set[str]:
    return {passage.name for passage in passages() if passage.name}


def _in_file(path: Path) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and _is_door(node.func):
            first = node.args[0] if node.args else None
            name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
            yield Passage(name, str(path.relative_to(ROOT)), node.lineno)


def _is_door(called: ast.expr) -> bool:
    return (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")) in _DOORS
