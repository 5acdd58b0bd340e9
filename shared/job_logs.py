"""The end of a training job's output, from Cloud Logging: what people need first when a job has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.environment import Environment

MAX_LINE_CHARACTERS = 500
"""The lines travel in an event."""
_TIMEOUT_SECONDS = 20.0
_SCOPES = ("https://www.googleapis.com/auth/logging.read",)


def last_lines(environment: Environment, wanted: str, lines: int) -> tuple[str, ...]:
    """The last lines that a filter of Cloud Logging finds, oldest first. Raises GoogleAPICallError."""
    from google.api_core.exceptions import from_http_response

    asked = {
        "resourceNames": [f"projects/{environment.project}"],
        "filter": wanted,
        "orderBy": "timestamp desc",
        "pageSize": lines,
    }
    reply = _session(environment.logging_endpoint).post(
        f"{environment.logging_endpoint}/v2/entries:list", json=asked, timeout=_TIMEOUT_SECONDS
    )
    if not reply.ok:
        raise from_http_response(reply)  # type: ignore[no-untyped-call]
    entries = reply.json().get("entries", [])
    return tuple(_text(entry)[:MAX_LINE_CHARACTERS] for entry in reversed(entries))


def _text(entry: dict[str, Any]) -> str:
    if "textPayload" in entry:
        return str(entry["textPayload"]).rstrip("\n")
    payload = entry.get("jsonPayload", {})
    return str(payload.get("message", payload))


def _session(endpoint: str) -> Any:
    import requests
    from google.auth import default
    from google.auth.transport.requests import AuthorizedSession

    from shared.environment import loopback

    if loopback(endpoint):
        return requests.Session()
    credentials, _ = default(scopes=_SCOPES)
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
