"""The way to people: one channel, one notice; through apprise to Slack, Teams, e-mail and the rest, as a signed
webhook to a program, or into a file.
"""

import logging
import textwrap
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from notice_text import body, document
from open_internet import only_outside
from signed_webhook import post

from shared.channels import Channel
from shared.events import Notification


@dataclass(frozen=True)
class Posted:
    """A notice on its way: `event` is its identity, the same at every try."""

    notice: Notification
    event: str
    now: datetime


class Send(Protocol):
    """Sends one notice to one channel; False if it was not taken. Never raises, never says the address."""

    def __call__(self, channel: Channel, posted: Posted, /) -> bool: ...


def send(channel: Channel, posted: Posted, /) -> bool:
    """Sends one notice the way that the channel's address names."""
    if channel.secret:
        return post(channel, posted.event, document(posted.notice, posted.event), posted.now)
    if channel.scheme == "file":
        return into_file(channel.address, posted.notice)
    with nullcontext() if channel.allow_private else only_outside():
        return through_apprise(channel.address, posted.notice)


def into_file(address: str, notice: Notification) -> bool:
    """Adds a notice to the end of a file; False where that cannot be done."""
    text = body(notice)
    below = "" if text == notice.title else f"{textwrap.indent(text, '        ')}\n"
    try:
        with Path(unquote(urlsplit(address).path)).open("a", encoding="utf-8") as file:
            file.write(f"{notice.severity:7} {notice.title}\n{below}")
    except OSError:
        return False
    return True


def through_apprise(address: str, notice: Notification) -> bool:
    """Sends through the service that the address's scheme names."""
    import apprise  # most notices of an installation without channels never need it, and it takes long to import

    # It logs what it cannot parse, which may be an address with a secret in it.
    logging.getLogger("apprise").disabled = True
    known = apprise.NotifyType
    kind = {"info": known.INFO, "warning": known.WARNING, "error": known.FAILURE}[notice.severity]
    try:
        # A redirect would send what the address holds, perhaps a secret, to a place that nobody configured.
        service = apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(http_redirects=False))
        if service is None:
            return False
        text = apprise.NotifyFormat.TEXT
        taken = service.notify(body=body(notice), title=notice.title, notify_type=kind, body_format=text)
    except Exception:  # a plugin's own trouble, whose text may quote the address
        return False
    return bool(taken)
