"""Google's metadata server as far as identity tokens go, and how a service knows its callers by them.

GCE_METADATA_HOST says where it is; a caller without a token for exactly this service is refused.
"""

import time

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from local.errors import CloudError, Status
from local.pubsub.oidc import Signer

IDENTITY = "/computeMetadata/v1/instance/service-accounts/default/identity"
_FLAVOR = {"Metadata-Flavor": "Google"}
_EMAIL = "serin-local@serin-local.iam.gserviceaccount.com"


class Callers:
    """Gives out tokens and knows them again."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._known: dict[str, tuple[str, float]] = {}

    def told(self, request: Request) -> Response | None:
        """The metadata server's answer; None if it was not asked."""
        if request.method != "GET" or request.headers.get("metadata-flavor") != "Google":
            return None
        if request.scope["path"] == IDENTITY:
            audience = request.query_params.get("audience", "")
            return PlainTextResponse(self._signer.token(_EMAIL, audience), headers=_FLAVOR)
        return None

    def check(self, request: Request, audience: str) -> None:
        """Raises UNAUTHENTICATED or PERMISSION_DENIED unless the request shows a token for this audience."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise CloudError(Status.PERMISSION_DENIED, "Your client does not have permission to get this URL.")
        for_whom, until = self._known.get(token) or self._read(token)
        if for_whom != audience or until < time.time():
            raise CloudError(Status.UNAUTHENTICATED, "The access token could not be verified.")

    def _read(self, token: str) -> tuple[str, float]:
        from google.auth import jwt
        from google.auth.exceptions import GoogleAuthError

        try:
            claims = jwt.decode(token, certs=self._signer.certificates())  # type: ignore[no-untyped-call]
        except (ValueError, GoogleAuthError) as error:
            raise CloudError(Status.UNAUTHENTICATED, "The access token could not be verified.") from error
        self._known[token] = str(claims["aud"]), float(claims["exp"])
        return self._known[token]
