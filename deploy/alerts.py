"""What somebody is to be woken for: alert policies on Serin's own metrics and on Pub/Sub's."""

from dataclasses import dataclass
from typing import Any

from deploy import source
from deploy.target import Target

_LOGGED = "logging.googleapis.com/user"
_CLOSES_SECONDS = 24 * 3600


@dataclass(frozen=True)
class _Alert:
    """A time series, how it is made one number per period, and the number that is too much."""

    title: str
    told: str
    metric: str
    resource: str
    where: str
    aligner: str
    period_seconds: int
    above: float


def policies(target: Target, table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every AlertPolicy resource by the name that it bears in its labels."""
    return {name: _policy(target, name, alert) for name, alert in _alerts(table).items()}


def config(target: Target, table: dict[str, Any], name: str) -> dict[str, Any]:
    """One AlertPolicy, as `gcloud alpha monitoring policies create --policy-from-file` takes it."""
    return policies(target, table)[name]


def _alerts(table: dict[str, Any]) -> dict[str, _Alert]:
    names = ", ".join(f'"{each["name"]}"' for each in table["subscriptions"])
    return {
        "dead-letters": _Alert(
            "a message was given up",
            "A message failed as often as it may. `serin dead-letters` shows why, and sends it again.",
            f"{_LOGGED}/serin_dead_letters", "cloud_run_revision", "", "ALIGN_DELTA", 300, 0,
        ),
        "failures": _Alert(
            "functions keep failing",
            "Deliveries end in errors that nobody foresaw. They come again; the traceback is in the function's log.",
            f"{_LOGGED}/serin_deliveries", "cloud_run_revision", ' AND metric.labels.outcome="failed"',
            "ALIGN_DELTA", 600, 5,
        ),
        "backlog": _Alert(
            "an event has been waiting for half an hour",
            "The oldest message of a subscription is old: its function fails, is refused, or cannot keep up.",
            "pubsub.googleapis.com/subscription/oldest_unacked_message_age", "pubsub_subscription",
            f" AND resource.labels.subscription_id=one_of({names})", "ALIGN_MAX", 300, 1800,
        ),
        "rollbacks": _Alert(
            "a model was rolled back",
            "A canary was judged worse than its base, or a person said so. `serin history` tells when and why.",
            "pubsub.googleapis.com/topic/send_request_count", "pubsub_topic",
            ' AND resource.labels.topic_id="rolled-back"', "ALIGN_DELTA", 300, 0,
        ),
    }  # fmt: skip


def _policy(target: Target, name: str, alert: _Alert) -> dict[str, Any]:
    threshold = {
        "filter": f'metric.type="{alert.metric}" AND resource.type="{alert.resource}"{alert.where}',
        "comparison": "COMPARISON_GT",
        "thresholdValue": alert.above,
        "duration": "0s",
        "aggregations": [{"alignmentPeriod": f"{alert.period_seconds}s", "perSeriesAligner": alert.aligner}],
    }
    made: dict[str, Any] = {
        "displayName": f"Serin: {alert.title}",
        "documentation": {"content": alert.told, "mimeType": "text/markdown"},
        "combiner": "OR",
        "conditions": [{"displayName": alert.title, "conditionThreshold": threshold}],
        "alertStrategy": {"autoClose": f"{_CLOSES_SECONDS}s"},
        "notificationChannels": list(target.alert_channels),
    }
    return {**made, "userLabels": {"serin": name, "serin-version": source.digest_of(made)}}
