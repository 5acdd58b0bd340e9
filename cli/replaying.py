"""Which events are said again, and how a run is made once more as a test run."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli import reading, recalling
from cli.connection import ledger_of, say
from cli.history import moment_of
from shared.envelope import Envelope, Message, decode
from shared.environment import Cloud
from shared.errors import BadInput
from shared.events import CATALOGUE, EvidenceReported, TrainingRequested
from shared.ids import MODEL_NAME, ModelName, RunId, is_test, run_id, run_parts, test_of
from shared.ledger import Ledger, Outcome, Record, settings_prefix, window_key
from shared.windows import last_window

_REASONS = 20


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a run's events or a file's, or all; of them, those of a model, a topic, a time."""

    run: str | None = None
    file: Path | None = None
    model: str | None = None
    topic: str | None = None
    since: str | None = None
    until: str | None = None

    @property
    def narrowed(self) -> bool:
        """Whether anything but a run is asked for."""
        return any((self.file, self.model, self.topic, self.since, self.until))


def chosen(ledger: Ledger, wanted: Wanted) -> list[Envelope]:
    """The events that are meant, in the order in which they were said; BadInput for a type or a time that is none."""
    if wanted.topic and wanted.topic not in {event.topic for event in CATALOGUE}:
        raise BadInput("replay", [f"there is no type {wanted.topic}"])
    since, until = (moment_of(text) if text else None for text in (wanted.since, wanted.until))
    found = _of_file(wanted.file) if wanted.file else _of_ledger(ledger, wanted)
    distinct = {event.id: event for event in found}.values()
    return sorted(
        (event for event in distinct if _is_meant(event, wanted, since, until)),
        key=lambda event: (event.time, event.id),
    )


def _is_meant(event: Envelope, wanted: Wanted, since: datetime | None, until: datetime | None) -> bool:
    named = wanted.model in (None, event.payload.model) and wanted.topic in (None, event.topic)
    return named and (since is None or event.time >= since) and (until is None or event.time < until)


def _of_ledger(ledger: Ledger, wanted: Wanted) -> list[Envelope]:
    with_evidence = wanted.topic == EvidenceReported.topic
    if wanted.run:
        run = RunId(wanted.run)
        found = recalling.of_run(ledger, run)
        return [*found, *recalling.evidence_of_run(ledger, run)] if with_evidence else found
    models = [ModelName(wanted.model)] if wanted.model else reading.models(ledger)
    found = recalling.of_models(ledger, models)
    return [*found, *recalling.evidence_of_models(ledger, models)] if with_evidence else found


def _of_file(path: Path) -> list[Envelope]:
    """The events of a file's lines, as records keep them or `serin tail --json` prints them.

    Raises BadInput with the number of every line that is none.
    """
    try:
        lines = enumerate(path.read_text().split("\n"), start=1)
    except (OSError, ValueError) as error:
        raise BadInput("file", [f"{path} cannot be read: {type(error).__name__}"]) from error
    events, reasons = list[Envelope](), list[str]()
    for number, line in lines:
        try:
            events += [_of_line(line)] if line.strip() else []
        except BadInput as bad:
            reasons += [f"line {number}: {reason}" for reason in bad.reasons]
    if reasons:
        raise BadInput("file", reasons[:_REASONS])
    return events


def _of_line(line: str) -> Envelope:
    try:
        kept = json.loads(line)
        attributes = {str(name): str(value) for name, value in kept["attributes"].items()}
        data = kept["data"] if isinstance(kept["data"], str) else json.dumps(kept["data"])
        return decode(Message(attributes, data.encode()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput("line", ["holds no event: attributes and data, as JSON"]) from error


def new_run(cloud: Cloud, run: RunId, by: str) -> RunId:
    """Opens a test run: the same rows, settings and champion as the run's, trained and judged anew, never deployed.

    It is a run of the model `test-of-<model>`, and so is told apart wherever a run or a model is named.
    """
    ledger = ledger_of(cloud)
    reading.timeline(ledger, run)
    model, window = run_parts(run)
    test = test_of(model)
    if is_test(model):
        raise BadInput("run", [f"{run} is a test run itself"])
    if MODEL_NAME.fullmatch(test) is None:
        raise BadInput("run", [f"{test} would be too long a name for a model"])
    return _opened(cloud, ledger, ledger.require(window_key(model, window)), test, by)


def _opened(cloud: Cloud, ledger: Ledger, original: Record, test: ModelName, by: str) -> RunId:
    settings = {"valid": True, "settings": original.data["settings"], "reasons": []}
    generation = int(original.data.get("settings_generation", 0))
    ledger.once(f"{settings_prefix(test)}{generation:020d}", lambda: Outcome(settings))
    number = last_window(ledger, test) + 1
    while not _taken(ledger, original, test, number, by):
        number += 1
    request, rows = _request(original, by), original.data["rows"]
    say(cloud, TrainingRequested(model=test, window=number, rows=rows, **request))
    return run_id(test, number)


def _taken(ledger: Ledger, original: Record, test: ModelName, number: int, by: str) -> bool:
    """Whether the window is this test run's; not if somebody else has opened another one at the same moment."""
    run = original.data["run"]
    data = {**original.data, "run": run_id(test, number), "request": _request(original, by), "test_of": run}
    return ledger.record(window_key(test, number), Outcome(data)).data == data


def _request(original: Record, by: str) -> dict[str, Any]:
    return {"reason": "person", "by": by, "because": f"a test run of {original.data['run']}"}
