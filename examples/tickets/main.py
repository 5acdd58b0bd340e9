"""Somebody else's function: a ticket for every error that Serin tells of. It knows the topic's schema and nothing more.

gcloud functions deploy tickets --gen2 --runtime python312 --source examples/tickets --entry-point open_ticket \\
    --trigger-topic notifications --set-env-vars TICKETS=/mnt/tickets
"""

import base64
import hashlib
import json
import os
from pathlib import Path

import functions_framework
from cloudevents.http import CloudEvent


@functions_framework.cloud_event
def open_ticket(event: CloudEvent) -> None:
    """Opens one ticket per notice: Pub/Sub may deliver twice, so the ticket is named after the notice's id."""
    message = event.get_data()["message"]
    notice = json.loads(base64.b64decode(message["data"]))
    if notice["severity"] != "error":
        return
    number = hashlib.sha256(message["attributes"]["ce-id"].encode()).hexdigest()[:12]
    ticket = Path(os.environ["TICKETS"]) / f"{number}.json"
    ticket.write_text(json.dumps({"title": notice["title"], "why": notice.get("why", []), "model": notice["model"]}))
