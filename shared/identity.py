"""As whom Google Cloud is spoken to: anonymously on this machine, anywhere else as whoever runs this process."""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

_IDENTITY = "computeMetadata/v1/instance/service-accounts/default/identity"
_TIMEOUT_SECONDS = 10.0


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

    GCE_METADATA_HOST names that server where it is not Google's: the local cloud has one of its own. Raises
    ConnectionError.
    """
    import requests

    host = os.environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    asked = {"audience": audience, "format": "full"}
    answer = requests.get(
        f"http://{host}/{_IDENTITY}", params=asked, headers={"Metadata-Flavor": "Google"}, timeout=_TIMEOUT_SECONDS
    )
    if answer.status_code != HTTPStatus.OK:
        raise ConnectionError(f"the metadata server answered {answer.status_code}")
    return {"Authorization": f"Bearer {answer.text}"}
