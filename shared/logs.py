"""What a function logs: one JSON line each, in the fields that Cloud Logging reads.

`severity`, `message` and the `logging.googleapis.com/` fields are Cloud Logging's; `function`, `event`, `model` and
`run` say what the line is about. Metrics are made from these lines (shared/wiring.py, METRICS).
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

from shared.trace import parts

Severity = Literal["INFO", "WARNING", "ERROR"]


@dataclass(frozen=True)
class Log:
    """The log of one delivery."""

    function: str
    project: str
    event: str | None = None
    model: str | None = None
    run: str | None = None
    traceparent: str | None = None

    def about(self, attributes: Mapping[str, str], traceparent: str | None = None) -> Self:
        """The same log, of the message with these attributes."""
        event, model, run = (attributes.get(f"ce-{name}") for name in ("id", "model", "run"))
        trace = traceparent or attributes.get("ce-traceparent")
        return replace(self, event=event, model=model, run=run, traceparent=trace)

    def say(self, severity: Severity, message: str, **facts: object) -> None:
        """Writes one line to standard output; facts that are None are left out."""
        known = {"function": self.function, "event": self.event, "model": self.model, "run": self.run}
        line = {"severity": severity, "message": message, **known, **self._trace(), **facts}
        sys.stdout.write(json.dumps({name: value for name, value in line.items() if value is not None}) + "\n")
        sys.stdout.flush()

    def _trace(self) -> dict[str, object]:
        found = parts(self.traceparent)
        if found is None:
            return {}
        field, (trace, span) = "logging.googleapis.com", found
        return {f"{field}/trace": f"projects/{self.project}/traces/{trace}", f"{field}/spanId": span}
