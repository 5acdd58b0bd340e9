"""The filter language of Vertex AI's lists, e.g. `labels.run=a AND (state="JOB_STATE_RUNNING" OR NOT labels.old:*)`.

    expression = conjunction {"OR" conjunction}
    conjunction = term {["AND"] term}
    term = ["NOT"] ("(" expression ")" | field operator value)
    operator = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"         (":" is has: `labels.k:*`, `labels:k`, `state:"*"`)

The grammar of aip.dev/160, as far as the documentation of the lists uses it.
"""

import fnmatch
import operator
import re
from collections.abc import Callable, Collection

from local.errors import CloudError, Status
from local.fields import Document

Predicate = Callable[[Document], bool]
_TOKEN = re.compile(r'\s*(?:([()])|(!=|<=|>=|[=:<>])|"((?:[^"\\]|\\.)*)"|([^\s()=!:<>"]+))')
_QUOTED_GROUP = 3
_QUOTE = '"'  # stands before a token that was quoted, so that a value is never taken for an operator
_LABEL_IN_QUOTES = re.compile(r'labels\."([^"]*)"')
_MAX_LENGTH = 4096
_MAX_DEPTH = 20
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def parsed(filter_text: str, fields: Collection[str]) -> Predicate:
    """What decides whether a document is listed; `labels` and these fields (in camel case) may be asked for.

    Raises INVALID_ARGUMENT for anything that is not in the grammar.
    """
    if not filter_text.strip():
        return lambda _: True
    if len(filter_text) > _MAX_LENGTH:
        raise CloudError(Status.INVALID_ARGUMENT, "The filter is too long.")
    return _Parser(filter_text, fields).whole()


class _Parser:
    def __init__(self, filter_text: str, fields: Collection[str]) -> None:
        self._text = filter_text
        self._fields = fields
        self._tokens = _tokens(filter_text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Predicate:
        found = self._expression()
        if self._next < len(self._tokens):
            raise self._wrong()
        return found

    def _expression(self) -> Predicate:
        choices = [self._conjunction()]
        while self._take("OR"):
            choices.append(self._conjunction())
        return lambda document: any(choice(document) for choice in choices)

    def _conjunction(self) -> Predicate:
        terms = [self._term()]
        while self._take("AND") or self._peek() not in (None, "OR", ")"):
            terms.append(self._term())
        return lambda document: all(term(document) for term in terms)

    def _term(self) -> Predicate:
        if self._take("NOT"):
            negated = self._term()
            return lambda document: not negated(document)
        if self._take("("):
            return self._nested()
        return self._restriction()

    def _nested(self) -> Predicate:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._wrong()
        inner = self._expression()
        if not self._take(")"):
            raise self._wrong()
        self._depth -= 1
        return inner

    def _restriction(self) -> Predicate:
        field, sign, value = self._word(), self._word(), self._word().removeprefix(_QUOTE)
        if sign == ":":
            return self._has(field, value)
        if sign not in _COMPARISONS:
            raise self._wrong()
        compare, read = _COMPARISONS[sign], self._reader(field)
        return lambda document: compare(read(document) or "", value)

    def _has(self, field: str, value: str) -> Predicate:
        if field == "labels":
            return lambda document: value in document.get("labels", {})
        read = self._reader(field)
        return lambda document: (found := read(document)) is not None and fnmatch.fnmatchcase(found, value)

    def _reader(self, field: str) -> Callable[[Document], str | None]:
        if field.startswith("labels."):
            label = field.removeprefix("labels.")
            return lambda document: document.get("labels", {}).get(label)
        name = re.sub("_([a-z])", lambda match: match[1].upper(), field)
        if name not in self._fields:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid filter: the field {field} cannot be filtered by.")
        return lambda document: document.get(name)

    def _peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, word: str) -> bool:
        if self._peek() != word:
            return False
        self._next += 1
        return True

    def _word(self) -> str:
        word = self._peek()
        if word is None or word in ("(", ")"):
            raise self._wrong()
        self._next += 1
        return word

    def _wrong(self) -> CloudError:
        return CloudError(Status.INVALID_ARGUMENT, f"Invalid filter: {self._text[:200]}")


def _tokens(filter_text: str) -> list[str]:
    rest = _LABEL_IN_QUOTES.sub(r"labels.\1", filter_text.strip())
    tokens = []
    while rest:
        match = _TOKEN.match(rest)
        if match is None:
            raise CloudError(Status.INVALID_ARGUMENT, f"Invalid filter: {filter_text[:200]}")
        quoted = match.lastindex == _QUOTED_GROUP
        tokens.append((_QUOTE if quoted else "") + match[match.lastindex or 0])
        rest = rest[match.end() :].lstrip()
    return tokens
