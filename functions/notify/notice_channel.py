"""The way to people: one address, one message; through apprise to Slack, Teams, e-mail and the rest, or into a file."""

import logging
import textwrap
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

Severity = Literal["info", "warning", "error"]
_FILE = "file://"


class Send(Protocol):
    """Sends one message to one address; False if it was not taken. Never raises, never says the address."""

    def __call__(self, address: str, title: str, body: str, severity: Severity, /) -> bool: ...


def send(address: str, title: str, body: str, severity: Severity, /) -> bool:
    """Sends one message the way that the address's scheme names."""
    way = into_file if address.startswith(_FILE) else through_apprise
    return way(address, title, body, severity)


def into_file(address: str, title: str, body: str, severity: Severity, /) -> bool:
    """Adds a message to the end of a file; False where that cannot be done."""
    below = "" if body == title else f"{textwrap.indent(body, '        ')}\n"
    told = f"{severity:7} {title}\n{below}"
    try:
        with Path(unquote(urlsplit(address).path)).open("a", encoding="utf-8") as file:
            file.write(told)
    except OSError:
        return False
    return True


def through_apprise(address: str, title: str, body: str, severity: Severity, /) -> bool:
    """Sends through the service that the address's scheme names."""
    import apprise  # most notices of an installation without channels never need it, and it takes long to import

    # It logs what it cannot parse, which may be an address with a secret in it.
    logging.getLogger("apprise").disabled = True
    known = apprise.NotifyType
    kind = {"info": known.INFO, "warning": known.WARNING, "error": known.FAILURE}[severity]
    try:
        service = apprise.Apprise.instantiate(address)
        if service is None:
            return False
        taken = service.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
    except Exception:  # a plugin's own trouble, whose text may quote the address
        return False
    return bool(taken)
