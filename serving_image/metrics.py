"""The counts since the process began, as Prometheus reads them (text format 0.0.4)."""

from itertools import accumulate

from serving_image.account import Interval
from shared.evidence import EDGES_SECONDS


def exposition(ever: Interval, version: str, waiting: int, batches: int) -> bytes:
    """The page that Prometheus asks for."""
    answered = ever.requests - ever.errors
    lines = [
        *_head("serin_model_info", "gauge", "The version that answers."),
        f'serin_model_info{{version="{_escaped(version)}"}} 1',
        *_head("serin_requests_total", "counter", "Requests, by how they ended; one of many rows is one request."),
        f'serin_requests_total{{outcome="answered"}} {answered}',
        f'serin_requests_total{{outcome="server_error"}} {ever.errors}',
        f'serin_requests_total{{outcome="client_error"}} {ever.client_errors}',
        *_head("serin_rows_total", "counter", "Rows, by how they ended."),
        f'serin_rows_total{{outcome="answered"}} {ever.rows}',
        f'serin_rows_total{{outcome="bad"}} {ever.bad_rows}',
        *_head("serin_batches_total", "counter", "Batches in which rows were answered together."),
        f"serin_batches_total {batches}",
        *_head("serin_requests_waiting", "gauge", "Requests accepted and not yet answered."),
        f"serin_requests_waiting {waiting}",
        *_head("serin_request_seconds", "histogram", "Seconds from a request's last byte to its answer."),
        *_histogram(ever),
    ]
    return "\n".join([*lines, ""]).encode()


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _histogram(ever: Interval) -> list[str]:
    counts = list(accumulate(ever.latency))
    buckets = [
        f'serin_request_seconds_bucket{{le="{edge:.6g}"}} {count}'
        for edge, count in zip(EDGES_SECONDS, counts, strict=False)
    ]
    return [
        *buckets,
        f'serin_request_seconds_bucket{{le="+Inf"}} {counts[-1]}',
        f"serin_request_seconds_sum {ever.seconds:.6f}",
        f"serin_request_seconds_count {counts[-1]}",
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
