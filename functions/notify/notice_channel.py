"""The way to Slack, Teams, e-mail and the rest: one address, one message, through apprise."""

import logging
from typing import Literal, Protocol

Severity = Literal["info", "warning", "error"]


class Send(Protocol):
    """Sends one message to one address; False if it was not taken. Never raises, never says the address."""

    def __call__(self, address: str, title: str, body: str, severity: Severity, /) -> bool: ...


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
