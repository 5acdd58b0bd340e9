"""Partial responses: `fields=items(name,generation),nextPageToken` leaves out of an answer what was not asked for.

Obeyed and not merely accepted, so that code which forgets to ask for a field misses it here as it would at Google.
"""

from typing import Any

from local.storage.errors import invalid

# A mask maps each wanted field to the mask of what is below it; an empty mask wants all.
Mask = dict[str, "Mask"]

_DEPTH_LIMIT = 16
_PUNCTUATION = "(),/"


def parse_mask(text: str) -> Mask:
    """The mask of a `fields` parameter; CloudError 400 when it cannot be read."""
    tokens = _tokens(text)
    mask = _selection(tokens, 0)
    if tokens:
        raise _unreadable(text)
    return mask


def select(value: Any, mask: Mask) -> Any:
    """What the mask wants of a JSON value; lists are looked through."""
    if not mask:
        return value
    if isinstance(value, list):
        return [select(item, mask) for item in value]
    if not isinstance(value, dict):
        return value
    if "*" in mask:
        return {name: select(item, mask["*"]) for name, item in value.items()}
    return {name: select(value[name], below) for name, below in mask.items() if name in value}


def _tokens(text: str) -> list[str]:
    """Names and punctuation, last first, so that the next one is popped."""
    for mark in _PUNCTUATION:
        text = text.replace(mark, f" {mark} ")
    return text.split()[::-1]


def _selection(tokens: list[str], depth: int) -> Mask:
    mask = _path(tokens, depth)
    while tokens and tokens[-1] == ",":
        tokens.pop()
        mask |= _path(tokens, depth)
    return mask


def _path(tokens: list[str], depth: int) -> Mask:
    name = tokens.pop() if tokens else ""
    if not name or name in _PUNCTUATION or depth > _DEPTH_LIMIT:
        raise _unreadable(name)
    if tokens and tokens[-1] == "/":
        tokens.pop()
        return {name: _path(tokens, depth + 1)}
    if not tokens or tokens[-1] != "(":
        return {name: {}}
    tokens.pop()
    below = _selection(tokens, depth + 1)
    if not tokens or tokens.pop() != ")":
        raise _unreadable(name)
    return {name: below}


def _unreadable(where: str) -> Exception:
    return invalid(f"Invalid field selection {where:.64}")
