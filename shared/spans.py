"""A span: one delivery's handling as part of a trace, for whoever draws traces. Exported by OTLP where configured."""

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.door import Door
from shared.errors import SerinError
from shared.trace import parts

_SECONDS = 2.0  # a function's answer waits for it


@dataclass(frozen=True)
class Span:
    """What a function did with one event: `traceparent` is its own, `parent` that of the event."""

    name: str
    traceparent: str
    parent: str | None
    began: datetime
    ended: datetime
    outcome: str
    attributes: Mapping[str, str]


class Spans(Protocol):
    """Where spans go."""

    def export(self, span: Span, /) -> None:
        """Hands a span on; one that cannot be handed on is lost, and nothing else is."""


class NoSpans:
    """Where no collector is configured."""

    def export(self, _: Span, /) -> None:
        return


class OtlpSpans:
    """The collector that OpenTelemetry's own variables name (OTEL_EXPORTER_OTLP_ENDPOINT, …_HEADERS), over HTTP."""

    def __init__(self, door: Door) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        # What it cannot hand on it says at length, with the request in it.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._door = door
        self._exporter = OTLPSpanExporter(timeout=_SECONDS)

    def export(self, span: Span, /) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(traceparent: str | None) -> SpanContext | None:
            ids = parts(traceparent)
            sampled = TraceFlags(TraceFlags.SAMPLED)
            return SpanContext(int(ids[0], 16), int(ids[1], 16), is_remote=True, trace_flags=sampled) if ids else None

        failed = span.outcome in ("failed", "later")
        made = ReadableSpan(
            name=span.name, context=context(span.traceparent), parent=context(span.parent), kind=SpanKind.CONSUMER,
            resource=Resource({"service.namespace": "serin", "service.name": span.name}),
            attributes={**span.attributes, "serin.outcome": span.outcome},
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=_nanoseconds(span.began), end_time=_nanoseconds(span.ended),
        )  # fmt: skip
        with contextlib.suppress(SerinError):
            self._door("otlp.export", lambda: self._exporter.export([made]))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
