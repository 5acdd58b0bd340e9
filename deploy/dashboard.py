"""One page in Cloud Monitoring: Serin's own metrics beside those of the services that it runs on."""

from typing import Any

from deploy import source

_WIDTH, _HEIGHT, _COLUMNS = 24, 16, 48
_PERIOD = "300s"
_FUNCTION = "cloud_run_revision"
_ENDPOINT = "aiplatform.googleapis.com/Endpoint"
_ONLINE = "aiplatform.googleapis.com/prediction/online"


def config(table: dict[str, Any]) -> dict[str, Any]:
    """The Dashboard resource, as `gcloud monitoring dashboards create --config-from-file` takes it."""
    charts = [*map(_own, table["metrics"]), *_services()]
    tiles = [
        {
            "xPos": index * _WIDTH % _COLUMNS,
            "yPos": index * _WIDTH // _COLUMNS * _HEIGHT,
            "width": _WIDTH,
            "height": _HEIGHT,
            "widget": widget,
        }
        for index, widget in enumerate(charts)
    ]
    made: dict[str, Any] = {"displayName": "Serin", "mosaicLayout": {"columns": _COLUMNS, "tiles": tiles}}
    return {**made, "labels": {"serin": "serin", "serin-version": source.digest_of(made)}}


def _own(metric: dict[str, Any]) -> dict[str, Any]:
    counts = metric["value"] is None
    aligner = "ALIGN_DELTA" if counts else "ALIGN_PERCENTILE_95"
    by = [f"metric.label.{label}" for label in metric["labels"]]
    title = metric["help"] if counts else f"{metric['help']}, 95 % within (seconds)"
    return _chart(title, f"logging.googleapis.com/user/{metric['name']}", _FUNCTION, aligner, by)


def _services() -> list[dict[str, Any]]:
    waiting = "pubsub.googleapis.com/subscription/oldest_unacked_message_age"
    model = ["metric.label.deployed_model_id"]
    return [
        _chart("oldest event waiting (seconds)", waiting, "pubsub_subscription", "ALIGN_MAX",
               ["resource.label.subscription_id"]),
        _chart("functions' instances", "run.googleapis.com/container/instance_count", _FUNCTION, "ALIGN_MAX",
               ["resource.label.service_name"]),
        _chart("predictions by deployed model", f"{_ONLINE}/prediction_count", _ENDPOINT, "ALIGN_DELTA", model),
        _chart("failed predictions by deployed model", f"{_ONLINE}/error_count", _ENDPOINT, "ALIGN_DELTA", model),
        _chart("prediction latencies, 95 % within (ms)", f"{_ONLINE}/prediction_latencies", _ENDPOINT,
               "ALIGN_PERCENTILE_95", model),
    ]  # fmt: skip


def _chart(title: str, metric: str, resource: str, aligner: str, by: list[str]) -> dict[str, Any]:
    reducer = "REDUCE_SUM" if aligner == "ALIGN_DELTA" else "REDUCE_MAX"
    aggregation = {
        "alignmentPeriod": _PERIOD,
        "perSeriesAligner": aligner,
        "crossSeriesReducer": reducer,
        "groupByFields": by,
    }
    told = {"filter": f'metric.type="{metric}" AND resource.type="{resource}"', "aggregation": aggregation}
    lines = [{"plotType": "LINE", "timeSeriesQuery": {"timeSeriesFilter": told}}]
    return {"title": title, "xyChart": {"dataSets": lines}}
