"""Pub/Sub's filter language: parsed when a subscription is made, refused when wrong, applied to every message.

filter     = clause { "AND" clause } | clause { "OR" clause }        (the two are not mixed without parentheses)
clause     = [ "NOT" | "-" ] ( "(" filter ")" | comparison )
comparison = "attributes" "." key ( "=" | "!=" ) string | "attributes" ":" key
           | "hasPrefix" "(" "attributes" "." key "," string ")"
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.errors import CloudError, Status

MAX_FILTER_BYTES = 256
Test = Callable[[Mapping[str, str]], bool]
_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>!=|[=:.(),-]))')


def parse(text: str) -> Test:
    """What a filter lets through; raises INVALID_ARGUMENT when it is no filter."""
    if not text.strip():
        return lambda _attributes: True
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise _wrong(f"the filter is longer than {MAX_FILTER_BYTES} bytes")
    reader = _Reader(_tokens(text))
    test = reader.filter()
    if reader.next is not None:
        raise _wrong(f"unexpected {reader.next!r}")
    return test


def _wrong(why: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, f"Invalid filter: {why}.")


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _wrong(f"cannot read {text[place:].strip()[:20]!r}")
        found.append(match[0].strip())
        place = match.end()
    return found


@dataclass
class _Reader:
    tokens: list[str]
    place: int = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def take(self, *wanted: str) -> str:
        token = self.next
        if token is None or (wanted and token not in wanted):
            raise _wrong(f"expected {' or '.join(wanted) or 'more'}, not {token!r}")
        self.place += 1
        return token

    def filter(self) -> Test:
        tests, joiner = [self.clause()], None
        while self.next in ("AND", "OR"):
            word = self.take()
            if joiner not in (None, word):
                raise _wrong("AND and OR need parentheses between them")
            joiner = word
            tests.append(self.clause())
        every = any if joiner == "OR" else all
        return lambda attributes: every(test(attributes) for test in tests)

    def clause(self) -> Test:
        if self.next in ("NOT", "-"):
            self.take()
            test = self.clause()
            return lambda attributes: not test(attributes)
        if self.next == "(":
            self.take("(")
            test = self.filter()
            self.take(")")
            return test
        return self.prefix() if self.next == "hasPrefix" else self.comparison()

    def prefix(self) -> Test:
        self.take("hasPrefix")
        self.take("(")
        self.take("attributes")
        self.take(".")
        key = self.key()
        self.take(",")
        wanted = self.string()
        self.take(")")
        return lambda attributes: attributes.get(key, "").startswith(wanted) and key in attributes

    def comparison(self) -> Test:
        self.take("attributes")
        if self.take(".", ":") == ":":
            present = self.key()
            return lambda attributes: present in attributes
        key = self.key()
        sign, wanted = self.take("=", "!="), self.string()
        if sign == "=":
            return lambda attributes: attributes.get(key) == wanted
        return lambda attributes: attributes.get(key) != wanted

    def key(self) -> str:
        token = self.take()
        if token.startswith('"'):
            return _unquoted(token)
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", token):
            raise _wrong(f"{token!r} is no attribute's name")
        return token

    def string(self) -> str:
        token = self.take()
        if not token.startswith('"'):
            raise _wrong(f"expected a string in quotes, not {token!r}")
        return _unquoted(token)


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])
