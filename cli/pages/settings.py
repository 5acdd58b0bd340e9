"""The page that documents every key of a model's settings, made from the settings themselves."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from shared.settings import Settings

_HEAD = """# A model's settings

A TOML file, dropped as `settings/<model>.toml` into the data bucket (`serin drop … --settings FILE` does that). Only
`data.target` is needed; what is left out has the default. All problems of a file are told at once, and the settings
before it stay in force; a run keeps the generation that it began with.

This page is made from `shared/settings.py`, `shared/rubric.py` and `shared/evidence_rules.py`.
"""


def page() -> str:
    """The page as Markdown: one table per section, every key with its default and what it means."""
    return "\n".join([_HEAD, *_sections(Settings, "")]) + "\n"


def _sections(model: type[BaseModel], path: str) -> Iterator[str]:
    plain = {name: field for name, field in model.model_fields.items() if _nested(field.annotation, "") is None}
    if plain:
        yield f"## `[{path}]`\n\n{' '.join((model.__doc__ or '').split())}\n"
        yield "| key | default | meaning |\n|---|---|---|"
        yield from (_row(name, field) for name, field in plain.items())
        yield ""
    for name, field in model.model_fields.items():
        if (nested := _nested(field.annotation, f"{path}.{name}".lstrip("."))) is not None:
            yield from _sections(*nested)


def _row(name: str, field: Any) -> str:
    return f"| `{name}` | {_default(field.default)} | {field.description or ''} |"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "needed"
    return "not set" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'" if '"' in value else f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f"{value}"


def _nested(annotation: Any, path: str) -> tuple[type[BaseModel], str] | None:
    """The section that a key holds and its path: one of its own, or one for each name."""
    for section, place in ((annotation, path), (get_args(annotation)[-1:] or (None,), f"{path}.<name>")):
        kind = section[0] if isinstance(section, tuple) else section
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind, place
    return None
