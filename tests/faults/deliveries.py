"""The real functions, called with the CloudEvent that functions-framework would make of a push; nothing in between."""

import base64
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cloudevents.http import CloudEvent

from shared.envelope import Message
from shared.wiring import FUNCTIONS

SOURCE = Path(__file__).parents[2] / "functions"


@cache
def entry_point(function: str) -> Callable[[CloudEvent], None]:
    """A function's entry point; the modules beside it have names that no other function uses."""
    folder = SOURCE / function
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"main_of_{function}", folder / "main.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[CloudEvent], None] = getattr(module, function)
    return found


def pushed(topic: str, message: Message) -> CloudEvent:
    """The CloudEvent of a push."""
    attributes = {
        "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": f"//pubsub.googleapis.com/projects/p/topics/{topic}",
        "id": message.id or "1",
    }
    body: dict[str, Any] = {
        "data": base64.b64encode(message.data).decode(),
        "attributes": dict(message.attributes),
        "messageId": message.id or "1",
    }
    return CloudEvent(attributes, {"message": body, "subscription": "s"})


for _function in FUNCTIONS:
    assert (SOURCE / _function / "main.py").exists()
