"""A quick start: Google's message types without the clients that their package imports along with them.

The clients cost half a second and 25 MB, and a server needs none of them. Only a process that is nothing but this
server may do so: whoever imports a client afterwards would find its package empty.
"""

import importlib.util
import sys

_PACKAGE = "google.pubsub_v1"


def import_types_only() -> None:
    """Lets `google.pubsub_v1.types` be imported in this process without the rest of `google.pubsub_v1`."""
    if _PACKAGE in sys.modules:
        return
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is not None:
        sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)
