"""As whom Google Cloud is spoken to: anonymously on this machine, anywhere else as whoever runs this process."""

from collections.abc import Mapping
from typing import Any


def rest_client(kind: Any, endpoint: str) -> Any:
    """One of Google's clients over its REST transport."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    from shared.environment import loopback

    credentials = AnonymousCredentials() if loopback(endpoint) else None  # type: ignore[no-untyped-call]
    return kind(transport="rest", client_options=ClientOptions(api_endpoint=endpoint), credentials=credentials)


def access_header(endpoint: str) -> Mapping[str, str]:
    """What a client of Google's APIs shows: an access token."""
    from shared.environment import loopback

    if loopback(endpoint):
        return {}
    import google.auth
    from google.auth.transport.requests import Request

    credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    credentials.refresh(Request())  # type: ignore[no-untyped-call]
    return {"Authorization": f"Bearer {credentials.token}"}


def identity_header(audience: str) -> Mapping[str, str]:
    """What a client of a Cloud Run service shows: an identity token for that service, from the metadata server.

    GCE_METADATA_HOST names the metadata server where it is not Google's: the local cloud has one of its own.
    """
    from google.auth.exceptions import GoogleAuthError
    from google.auth.transport.requests import Request
    from google.oauth2.id_token import fetch_id_token

    try:
        token = fetch_id_token(Request(), audience)  # type: ignore[no-untyped-call]
    except GoogleAuthError as error:
        raise ConnectionError(f"no identity token: {error}") from error
    return {"Authorization": f"Bearer {token}"}
