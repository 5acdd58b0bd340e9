"""Where notices go: the channels of an installation, and which of them hears which notice.

SERIN_NOTIFY_URLS      addresses separated by spaces; each hears everything, and none may be inside the network
SERIN_NOTIFY_CHANNELS  TOML, for channels that hear less:

    [[channel]]
    name = "on-call"                      # how the delivery log calls it
    address = "pagerduty://…"             # apprise's addresses, file:///path, or https://… with a secret
    severity = "error"                    # the least that it hears: info, warning or error
    models = ["digits", "fraud-*"]        # all if left out
    secret = "whsec_…"                    # signs what is posted to an https address
    allow_private = true                  # the address may be inside the network

An address may hold a secret: it is never said, not in a record, a log or an error.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import BadInput
from shared.events import Notification

Severity = Literal["info", "warning", "error"]
_RANK: Mapping[str, int] = {"info": 0, "warning": 1, "error": 2}
_SCHEME = re.compile(r"([a-z0-9]{1,20})://")
# In the user's part of an address, and in its query. Tokens stay: nobody can guess one from a hash.
_PASSWORD = re.compile(r"(?<=://)([^/?#:@]*):[^/?#]*(?=@)|(?<=[?&])(pass|password|pwd)=[^&#]*", re.IGNORECASE)
_WEB = ("http", "https")
_NAME = r"^[a-z][a-z0-9-]{0,39}$"


@dataclass(frozen=True)
class Channel:
    """One way to people, or to a program of theirs."""

    address: str = field(repr=False)
    named: str = ""
    severity: Severity = "info"
    models: tuple[str, ...] = ("*",)
    secret: str = field(default="", repr=False)
    allow_private: bool = False

    @property
    def scheme(self) -> str:
        found = _SCHEME.match(self.address)
        return found[1] if found else "unknown"

    @property
    def name(self) -> str:
        """How it may be spoken of: the name it was given, else its scheme and a hash of its address without passwords.

        People choose passwords: one could be found by trying until the hash is right.
        """
        public = _PASSWORD.sub(r"\1\2", self.address)
        return self.named or f"{self.scheme}-{hashlib.sha256(public.encode()).hexdigest()[:20]}"

    def hears(self, notice: Notification) -> bool:
        """Whether a notice is for this channel. What is about no model that is known is for everybody."""
        loud = _RANK[notice.severity] >= _RANK[self.severity]
        known = notice.model != "unknown"
        return loud and (not known or any(fnmatchcase(notice.model, pattern) for pattern in self.models))


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=_NAME)]
    address: Annotated[str, Field(min_length=1)]
    severity: Severity = "info"
    models: tuple[str, ...] = ("*",)
    secret: str = ""
    allow_private: bool = False


class _Channels(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    channel: tuple[_Entry, ...] = ()


def channels_of(variables: Mapping[str, str]) -> tuple[Channel, ...]:
    """The channels that the environment names, each once; raises BadInput with every reason, and no address."""
    plain = [Channel(address) for address in variables.get("SERIN_NOTIFY_URLS", "").split()]
    routed = _routed(variables.get("SERIN_NOTIFY_CHANNELS", ""))
    return tuple({channel.name: channel for channel in (*plain, *routed)}.values())


def _routed(text: str) -> list[Channel]:
    what = "SERIN_NOTIFY_CHANNELS"
    try:
        entries = _Channels.model_validate(tomllib.loads(text)).channel
    except tomllib.TOMLDecodeError as error:
        raise BadInput(what, [f"{what} is not TOML"]) from error
    except ValidationError as error:
        raise BadInput(what, [f"{what}: {_problem(each)}" for each in error.errors(include_input=False)]) from error
    channels = [
        Channel(entry.address, entry.name, entry.severity, entry.models, entry.secret, entry.allow_private)
        for entry in entries
    ]
    if reasons := [*_twice(channels), *(reason for channel in channels for reason in _wrong(channel))]:
        raise BadInput(what, reasons)
    return channels


def _twice(channels: list[Channel]) -> list[str]:
    names = [channel.name for channel in channels]
    return [f"two channels are called {name}" for name in sorted(set(names)) if names.count(name) > 1]


def _wrong(channel: Channel) -> list[str]:
    if channel.secret and channel.scheme not in _WEB:
        return [f"{channel.name}: a secret signs what is posted to an http or https address"]
    return []


def _problem(problem: Any) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
