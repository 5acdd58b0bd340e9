"""Log-based metrics: what Cloud Monitoring makes of the lines that functions log, from the wiring's one table."""

import json
from typing import Any

from deploy import source

_FUNCTIONS = 'resource.type="cloud_run_revision"'


def config(metric: dict[str, Any]) -> str:
    """The LogMetric resource, as `gcloud logging metrics create --config-from-file` takes it.

    A metric has no labels of its own, so its description ends with a hash by which an older one is told.
    """
    made = _made(metric)
    return json.dumps({**made, "description": f"{made['description']} ({source.digest_of(made)})"}, indent=1)


def _made(metric: dict[str, Any]) -> dict[str, Any]:
    lines = [_FUNCTIONS, *(f'jsonPayload.{name}="{wanted}"' for name, wanted in metric["where"].items())]
    counts = metric["value"] is None
    made: dict[str, Any] = {
        "name": metric["name"],
        "description": metric["help"],
        "filter": " AND ".join(lines),
        "labelExtractors": {name: f"EXTRACT(jsonPayload.{name})" for name in metric["labels"]},
        "metricDescriptor": {
            "metricKind": "DELTA",
            "valueType": "INT64" if counts else "DISTRIBUTION",
            "labels": [{"key": name, "valueType": "STRING"} for name in metric["labels"]],
        },
    }
    if not counts:
        made["valueExtractor"] = f"EXTRACT(jsonPayload.{metric['value']})"
    return made
