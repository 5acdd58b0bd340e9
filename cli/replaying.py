"""Which events are said again, and how a run is made once more as a test run."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cli import reading, recalling
from cli.connection import ledger_of, say
from cli.history import moment_of
from shared.envelope import Envelope, Message, decode
from shared.environment import Cloud
from shared.errors import BadInput
from shared.events import CATALOGUE, EvidenceReported, TrainingRequested
from shared.ids import MODEL_NAME, TEST_PREFIX, ModelName, RunId, is_test, run_id, run_parts
from shared.ledger import Ledger, Outcome, Record, settings_prefix, window_key
from shared.windows import last_window


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
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        return [decode(Message(line["attributes"], json.dumps(line["data"]).encode())) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput("file", [f"{path} holds no events as JSON lines: {type(error).__name__}"]) from error


def new_run(cloud: Cloud, run: RunId, by: str) -> RunId:
    """Opens a test run: the same rows, settings and champion as the run's, trained and judged anew, never deployed.

    It is a run of the model `test-of-<model>`, and so is told apart wherever a run or a model is named.
    """
    ledger = ledger_of(cloud)
    reading.timeline(ledger, run)
    model, window = run_parts(run)
    test = ModelName(f"{TEST_PREFIX}{model}")
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
    run, because = run_id(test, number), f"a test run of {original.data['run']}"
    request = {"reason": "person", "by": by, "because": because}
    data = {**original.data, "run": run, "request": request, "test_of": original.data["run"]}
    # Should two people open one at the same moment, both are told the one that stands.
    ledger.record(window_key(test, number), Outcome(data))
    asked = TrainingRequested(
        model=test, reason="person", window=number, rows=original.data["rows"], by=by, because=because
    )
    say(cloud, asked)
    return run
