"""Every delivery is a span in its event's trace, told to a collector where one is configured."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from shared.door import open_door
from shared.environment import GoogleCloud, read_environment
from shared.spans import NoSpans, OtlpSpans, Span
from shared.trace import continued, parts, started
from tests.functions.standing_run import event
from tests.world.cloud import START, VARIABLES, MemoryCloud
from tests.world.running import send


class Collector(ThreadingHTTPServer):
    """An OpenTelemetry collector: what it was sent."""

    def __init__(self, status: int) -> None:
        self.status, self.got = status, list[ExportTraceServiceRequest]()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.got.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def collecting(monkeypatch: pytest.MonkeyPatch, status: int = 200) -> Iterator[Collector]:
    with Collector(status) as collector:
        thread = threading.Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_address[1]}")
        yield collector
        collector.shutdown()
        thread.join()


def span(outcome: str = "done") -> Span:
    parent = started("event-1")
    own = continued(parent, "stage_model", "event-1")
    return Span("stage_model", own, parent, START, START.replace(second=2), outcome, {"serin.run": "digits-000001"})


def test_a_delivery_is_a_span_below_its_event_s() -> None:
    cloud, told = MemoryCloud(), event("notifications")
    told = type(told)(told.id, told.source, told.time, told.payload, traceparent=started("the beginning"))
    send(cloud, "notify", told)
    (made,) = cloud.spans.exported
    assert (made.name, made.outcome, made.parent) == ("notify", "done", told.traceparent)
    assert (parts(made.traceparent) or ("",))[0] == (parts(told.traceparent) or ("",))[0]
    assert made.attributes == {"serin.event": told.id, "serin.model": "digits", "serin.run": "digits-000002"}


def test_a_collector_hears_of_it_in_opentelemetry_s_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting(monkeypatch) as collector:
        OtlpSpans(open_door).export(span())
    (request,) = collector.got
    (made,) = request.resource_spans[0].scope_spans[0].spans
    ids = parts(span().traceparent)
    assert ids is not None
    assert (made.trace_id.hex(), made.span_id.hex()) == ids
    assert made.parent_span_id.hex() == (parts(span().parent) or ("", ""))[1]
    assert made.end_time_unix_nano - made.start_time_unix_nano == 2_000_000_000
    assert {each.key: each.value.string_value for each in made.attributes} == {
        "serin.run": "digits-000001",
        "serin.outcome": "done",
    }


def test_a_collector_that_refuses_or_is_not_there_keeps_nothing_from_being_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with collecting(monkeypatch, 400) as collector:
        OtlpSpans(open_door).export(span("failed"))
    assert len(collector.got) == 1
    OtlpSpans(open_door).export(span())


def test_without_a_collector_nothing_is_exported() -> None:
    assert isinstance(GoogleCloud(read_environment(VARIABLES)).spans, NoSpans)
