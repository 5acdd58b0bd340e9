"""Pub/Sub's filter language: parsed when a subscription is made, refused when wrong, applied to every message.

    filter     = clause , ( { "AND" , clause } | { "OR" , clause } )       the two are mixed only with parentheses
    clause     = [ "NOT" | "-" ] , ( "(" , filter , ")" | comparison )
    comparison = "attributes" , ":" , key                                  the key is there
               | "attributes" , "." , key , ( "=" | "!=" ) , string        != is also true where the key is missing
               | "hasPrefix" , "(" , "attributes" , "." , key , "," , string , ")"
    key        = letters, digits, "_" and "-" (not first) | string
    string     = in double quotes, with the escapes of C: \\n \\" \\\\ \\x41 \\101 \\u00e9 \\U0001f426

From Google's page "Filter messages from a subscription"; the meaning of != as in Google's own fake server (pstest).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from local.errors import CloudError, Status

MAX_FILTER_BYTES = 256
Test = Callable[[Mapping[str, str]], bool]
_TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>\w[\w-]*)|(?P<sign>!=|[=:.(),-]))', re.ASCII)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", '"': '"', "'": "'", "?": "?",
}  # fmt: skip
_SHOWN_CHARACTERS = 20


def parse(text: str) -> Test:
    """What a filter lets through, by a message's attributes; raises INVALID_ARGUMENT when it is no filter."""
    if not text.strip():
        return lambda _attributes: True
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise _wrong(f"it is longer than {MAX_FILTER_BYTES} bytes")
    reader = _Reader(_tokens(text))
    test = reader.filter()
    if reader.next is not None:
        raise _wrong(f"unexpected {reader.next}")
    return test


def _wrong(why: str) -> CloudError:
    return CloudError(Status.INVALID_ARGUMENT, f"Invalid filter expression: {why}.")


def _tokens(text: str) -> list[str]:
    found, place = [], 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _wrong(f"cannot read {text[place:].strip()[:_SHOWN_CHARACTERS]}")
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
            raise _wrong(f"expected {' or '.join(wanted) or 'more'}, not {'the end' if token is None else token}")
        self.place += 1
        return token

    def filter(self) -> Test:
        tests, joiner = [self.clause()], self.next
        while self.next in ("AND", "OR"):
            if self.take() != joiner:
                raise _wrong("AND and OR need parentheses between them")
            tests.append(self.clause())
        if len(tests) == 1:
            return tests[0]
        if joiner == "OR":
            return lambda attributes: any(test(attributes) for test in tests)
        return lambda attributes: all(test(attributes) for test in tests)

    def clause(self) -> Test:
        if self.next not in ("NOT", "-"):
            return self.positive()
        self.take()
        test = self.positive()
        return lambda attributes: not test(attributes)

    def positive(self) -> Test:
        if self.next == "hasPrefix":
            return self.prefix()
        if self.next != "(":
            return self.comparison()
        self.take("(")
        test = self.filter()
        self.take(")")
        return test

    def prefix(self) -> Test:
        for token in ("hasPrefix", "(", "attributes", "."):
            self.take(token)
        key = self.key()
        self.take(",")
        wanted = self.string()
        self.take(")")
        return lambda attributes: key in attributes and attributes[key].startswith(wanted)

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
        if not re.fullmatch(r"\w[\w-]*", token, re.ASCII):
            raise _wrong(f"{token} is no attribute's key")
        return token

    def string(self) -> str:
        token = self.take()
        if not token.startswith('"'):
            raise _wrong(f"expected a string in double quotes, not {token}")
        return _unquoted(token)


def _unquoted(token: str) -> str:
    return _ESCAPE.sub(_unescaped, token[1:-1])


def _unescaped(escape: re.Match[str]) -> str:
    octal, short, medium, long, simple = escape.groups()
    if simple is not None:
        if simple not in _SIMPLE_ESCAPES:
            raise _wrong(f"unknown escape {escape[0]}")
        return _SIMPLE_ESCAPES[simple]
    number = int(octal, 8) if octal is not None else int(short or medium or long, 16)
    if number > 0x10FFFF:
        raise _wrong(f"unknown escape {escape[0]}")
    return chr(number)
