"""A notice posted to a program: signed, so that the receiver knows who says it, when, and that it was not said before.

The headers are those of the Standard Webhooks specification: `webhook-id` is the same at every try, `webhook-timestamp`
is in seconds, `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`.
"""

import base64
import binascii
import hashlib
import hmac
import json
import socket
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import SplitResult, urlsplit

import urllib3
from open_internet import outside

from shared.channels import Channel

_SECONDS = 10.0
_PORTS = {"http": 80, "https": 443}
_PREFIX = "whsec_"


def post(channel: Channel, event: str, document: Mapping[str, object], now: datetime) -> bool:
    """Posts a document; False unless the receiver says 2xx. No redirect is followed: it would name another target."""
    text = json.dumps(document, sort_keys=True).encode()
    try:
        target = urlsplit(channel.address)
        headers = {"Content-Type": "application/json", "Host": target.netloc.rpartition("@")[2]}
        headers |= signed(channel.secret, identity_of(event), int(now.timestamp()), text)
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        with _connection(target, channel.allow_private) as pool:
            answer = pool.urlopen(
                "POST", path, body=text, headers=headers, redirect=False, retries=False, preload_content=False
            )
            answer.close()  # unread: only its status counts, and it may have no end
            return 200 <= answer.status < 300
    except (OSError, ValueError, urllib3.exceptions.HTTPError):
        return False


def identity_of(event: str) -> str:
    """The webhook-id: short and of plain characters, whatever the event is called."""
    return f"msg_{hashlib.sha256(event.encode()).hexdigest()[:32]}"


def signed(secret: str, identity: str, timestamp: int, text: bytes) -> dict[str, str]:
    """The three headers for a body. A secret that begins with whsec_ is base64 after it, any other is taken as is."""
    content = f"{identity}.{timestamp}.".encode() + text
    mac = base64.b64encode(hmac.digest(_key(secret), content, "sha256")).decode()
    return {"webhook-id": identity, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{mac}"}


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("the secret is not base64") from error


def _connection(target: SplitResult, allow_private: bool) -> urllib3.HTTPConnectionPool:
    """To the very address that was looked at: a name that is asked for twice may answer differently."""
    host, port = target.hostname or "", target.port or _PORTS[target.scheme]
    address = _address_of(host, port, allow_private)
    if target.scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, timeout=_SECONDS)
    return urllib3.HTTPSConnectionPool(address, port, timeout=_SECONDS, server_hostname=host, assert_hostname=host)


def _address_of(host: str, port: int, allow_private: bool) -> str:
    """The first address of a host; ValueError if any of them is inside a network and that is not allowed."""
    found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not allow_private and not all(outside(address) for address in found):
        raise ValueError("an address inside a network")
    return found[0]
