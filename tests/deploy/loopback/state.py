"""What stands in the project: resources by their names, policies, objects. Generic, because the APIs are alike."""

import base64
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PROJECT = "p-1"
NUMBER = "123456789012"
Document = dict[str, Any]
Query = Mapping[str, str]


class Refused(Exception):
    """An answer in Google's form of an error."""

    def __init__(self, code: int, status: str, told: str) -> None:
        super().__init__(told)
        self.code = code
        self.body: Document = {"error": {"code": code, "status": status, "message": told}}


@dataclass(frozen=True)
class Kind:
    """How one collection names what is created in it, and what the server adds to it."""

    key: str = ""  # the query parameter or the body's field that holds the id; none: the server numbers
    inner: str = ""  # the body's field that holds the resource, if not the body itself
    listed: str = ""  # the field of a listing; none: the collection's own name
    operation: bool = False  # created, changed and deleted by a long-running operation
    added: Callable[[str, Document], Document] = lambda _name, _body: {}


@dataclass
class State:
    """Everything that stands: `resources` by full name, `policies` by the name of what they are on."""

    resources: dict[str, Document] = field(default_factory=dict)
    policies: dict[str, Document] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1001))

    def made(self, collection: str, kind: Kind, query: Query, body: Document) -> Document:
        """A new resource; ALREADY_EXISTS for a name that is taken."""
        named = query.get(kind.key) or body.get(kind.key) or str(next(self.numbers))
        return self.put(f"{collection}/{named.rpartition('/')[2]}", kind, body.get(kind.inner, body))

    def put(self, name: str, kind: Kind, body: Document) -> Document:
        if name in self.resources:
            raise Refused(409, "ALREADY_EXISTS", f"Resource already exists in the project (resource={name}).")
        made = {**body, "name": name, **kind.added(name, body)}
        self.resources[made["name"] if made["name"].startswith("projects/") else name] = made
        return made

    def found(self, name: str) -> Document:
        if name not in self.resources:
            raise Refused(404, "NOT_FOUND", f"Resource not found (resource={name}).")
        return self.resources[name]

    def below(self, collection: str) -> list[Document]:
        pattern = re.compile(re.escape(collection).replace("/\\-/", "/[^/]+/") + "/[^/]+")
        return [each for name, each in sorted(self.resources.items()) if pattern.fullmatch(name)]

    def patched(self, name: str, query: Query, body: Document) -> Document:
        """The named fields replaced; without a mask all fields that are given."""
        document = self.found(name)
        mask = [each.split(".")[0] for each in query.get("updateMask", "").split(",") if each] or list(body)
        document.update({_camel(each): body.get(_camel(each)) for each in mask})
        return document

    def deleted(self, name: str) -> Document:
        """Gone, with what is below it and all policies on that."""
        document = self.found(name)
        for held in (self.resources, self.policies):
            for each in [each for each in held if each == name or each.startswith(f"{name}/")]:
                del held[each]
        return document

    def policy(self, name: str) -> Document:
        return self.policies.get(name) or {"version": 1, "etag": _etag(0)}

    def set_policy(self, name: str, wanted: Document) -> Document:
        """Replaced whole, if the etag is that of the policy that stands."""
        now = self.policy(name)
        if wanted.get("etag") not in (None, now["etag"]):
            raise Refused(409, "ABORTED", "There were concurrent policy changes.")
        made = {"version": 1, **wanted, "etag": _etag(_version(now["etag"]) + 1)}
        self.policies[name] = made
        return made

    def grant(self, name: str, role: str, member: str) -> None:
        """One more binding, given by Google itself."""
        bindings = [*self.policy(name).get("bindings", []), {"role": role, "members": [member]}]
        self.set_policy(name, {"bindings": bindings})


def _etag(version: int) -> str:
    return base64.b64encode(version.to_bytes(8, "big")).decode()


def _version(etag: str) -> int:
    return int.from_bytes(base64.b64decode(etag), "big")


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))
