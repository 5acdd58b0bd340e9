"""The token that a push carries when its subscription names a service account: Google's claims, signed by this server.

The key lies in the data folder. A receiver verifies as on Google Cloud, with google-auth, and needs one thing else: the
keys come from this server (`certs_url="http://127.0.0.1:PORT/oauth2/v1/certs"`), not from Google.
"""

import base64
import json
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

_ISSUER = "https://accounts.google.com"
_LIFE_SECONDS = 3600
_RENEW_SECONDS = 600  # before the end of its life a token is replaced
_KEY_BITS = 2048


class Signer:
    """Makes tokens; the key is made, or read, when the first is asked for."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path = folder / "oidc-key.pem"
        self._clock = clock
        self._tokens: dict[tuple[str, str], tuple[float, str]] = {}

    def token(self, email: str, audience: str) -> str:
        """A signed token for a service account and an audience, good for ten minutes at least."""
        until, token = self._tokens.get((email, audience), (0.0, ""))
        if self._clock() > until - _RENEW_SECONDS:
            until = self._clock() + _LIFE_SECONDS
            token = self._signed(_claims(email, audience, int(until)))
            self._tokens[email, audience] = until, token
        return token

    def certificates(self) -> Mapping[str, str]:
        """The public key in PEM, by its id, in the form of Google's /oauth2/v1/certs."""
        return {self._id: self._public}

    def _signed(self, claims: Mapping[str, Any]) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

        head = {"alg": "RS256", "kid": self._id, "typ": "JWT"}
        signed = b".".join(_part(json.dumps(each).encode()) for each in (head, claims))
        signature = self._key.sign(signed, PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _part(signature)).decode()

    @cached_property
    def _id(self) -> str:
        return sha256(self._public.encode()).hexdigest()[:40]

    @cached_property
    def _public(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        return str(self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    @cached_property
    def _key(self) -> Any:
        # Imported here, for most installations push without a token.
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )

        if not self._path.exists():
            made = rsa.generate_private_key(65537, _KEY_BITS)
            pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            draft = self._path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
            draft.replace(self._path)
        return load_pem_private_key(self._path.read_bytes(), None)


def _claims(email: str, audience: str, until: int) -> dict[str, Any]:
    subject = str(int.from_bytes(sha256(email.encode()).digest()[:8], "big"))
    return {
        "aud": audience, "azp": subject, "email": email, "email_verified": True, "exp": until,
        "iat": until - _LIFE_SECONDS, "iss": _ISSUER, "sub": subject,
    }  # fmt: skip


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
