"""Who may deliver: the token that a push carries, verified beside what the platform's own IAM has checked already.

Authorization: Bearer <JWT> ─► signed by a key of the issuer ─► in its time ─► for this function ─► of the one account
                                     └ anything else: Untrusted, before a byte of the message is looked at
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from shared.door import Door
from shared.errors import Transient, Untrusted

GOOGLES_KEYS = "https://www.googleapis.com/oauth2/v1/certs"
ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
SKEW_SECONDS = 10
MAX_TOKEN_CHARACTERS = 8192  # ten times what Google's tokens take
_KEYS_LIFE = timedelta(hours=1)  # Google's keys are good for days, and a new one is shown before it signs
_LOOK_AGAIN = timedelta(minutes=1)  # so that forged key ids do not make us ask at every push
_FETCH_SECONDS = 10.0
_BEARER = "Bearer "


@dataclass(frozen=True)
class Pusher:
    """Whose pushes are taken: the service account, what its tokens are for, and where its issuer shows its keys.

    `{function}` in the audience stands for the name of the function that is asked.
    """

    account: str
    audience: str
    keys_url: str = GOOGLES_KEYS


Keys = Callable[[str], Mapping[str, str]]
"""The issuer's public keys in PEM by their ids, looked up anew when the one asked for is not among them."""


def check(header: str | None, pusher: Pusher, function: str, keys: Keys) -> None:
    """Untrusted unless the header holds a token of the pusher's account, for this function, by the issuer's own key."""
    token = _token(header)
    claims = _claims(token, keys(_key_id(token)), pusher.audience.replace("{function}", function))
    if claims.get("iss") not in ISSUERS:
        raise Untrusted("the token is of another issuer")
    if claims.get("email") != pusher.account or claims.get("email_verified") is not True:
        raise Untrusted("the token is of another account")


def _token(header: str | None) -> str:
    if not header or not header.startswith(_BEARER):
        raise Untrusted("there is no token")
    token = header.removeprefix(_BEARER)
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise Untrusted("the token is too long")
    return token


def _key_id(token: str) -> str:
    from google.auth import jwt

    decode_header: Any = jwt.decode_header
    try:
        return str(decode_header(token).get("kid"))
    except (ValueError, AttributeError) as error:
        raise Untrusted("the token cannot be read") from error


def _claims(token: str, keys: Mapping[str, str], audience: str) -> Mapping[str, Any]:
    from google.auth import jwt

    decode: Any = jwt.decode
    try:
        claims = decode(token, dict(keys), audience=audience, clock_skew_in_seconds=SKEW_SECONDS)
    except (ValueError, TypeError, AttributeError) as error:
        # Without the library's words: they quote what the token claims.
        raise Untrusted("the token is not valid here") from error
    if not isinstance(claims, Mapping):
        raise Untrusted("the token claims nothing")
    return claims


class IssuersKeys:
    """The keys at an address, fetched when they are needed and kept for an hour."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._kept: Mapping[str, str] = {}
        self._since: datetime | None = None

    def known(self, key_id: str, now: datetime, door: Door) -> Mapping[str, str]:
        """The keys; Transient while they cannot be had."""
        life = _KEYS_LIFE if key_id in self._kept else _LOOK_AGAIN
        if self._since is None or now - self._since > life:
            self._kept, self._since = door("oidc.keys", lambda: _fetched(self._url)), now
        return self._kept


@cache
def keys_at(url: str) -> IssuersKeys:
    """The keys at an address, one memory for each process."""
    return IssuersKeys(url)


def _fetched(url: str) -> Mapping[str, str]:
    import requests

    answer = requests.get(url, timeout=_FETCH_SECONDS, allow_redirects=False)
    if answer.status_code != 200:
        raise Transient("oidc.keys", f"status {answer.status_code}")
    found: Mapping[str, str] = json.loads(answer.content)
    return found
