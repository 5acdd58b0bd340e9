"""Same-tick batching: what comes in while the loop turns once is answered together, and nothing ever waits for company.

    read a ─ read b ─ read c ─┐ end of the tick: one batch [a b c] ─► models ─► a, b, c answered
    read d (5,000 rows) ──────┴► taken in slices, in turn with everybody else's rows

A wait of a millisecond for fuller batches was slower at every number of connections: under load a tick is full anyway.
"""

import sys
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from serving_image.answering import Prediction
from shared.served_model import Row

SLICE_ROWS = 256
"""Of one request in one batch: so long may the others' answers be held up by somebody's thousands of rows."""
BATCH_ROWS = 1_024
"""Bounds the memory of a batch, and how long the loop cannot read."""


class Job:
    """The rows of one request on their way to their predictions; `done` is told once, when the last one is there."""

    __slots__ = ("begun", "done", "failed", "predictions", "rows", "taken", "wants_probabilities")

    def __init__(self, rows: list[Row], wants_probabilities: bool, begun: float, done: "Callable[[Job], None]") -> None:
        self.rows = rows
        self.wants_probabilities = wants_probabilities
        self.begun = begun
        self.done = done
        self.taken = 0
        self.predictions: list[Prediction | None] = []
        self.failed: str | None = None
        """Why no answer will come: "timeout", or the name of what was raised."""


class Answerer(Protocol):
    """Answers rows together, one prediction per row."""

    def __call__(self, rows: Sequence[Row], wants_probabilities: bool) -> list[Prediction | None]: ...


class Batcher:
    """Answers jobs in batches; `schedule` calls a function at the end of the loop's tick."""

    def __init__(
        self,
        answer: Answerer,
        clock: Callable[[], float],
        schedule: Callable[[Callable[[], None]], object],
        timeout_seconds: float,
    ) -> None:
        self._answer = answer
        self._clock = clock
        self._schedule = schedule
        self._timeout_seconds = timeout_seconds
        self._jobs: deque[Job] = deque()
        self._scheduled = False
        self.batches = 0

    def add(self, job: Job) -> None:
        """Takes a job into the batch of this tick."""
        self._jobs.append(job)
        if not self._scheduled:
            self._scheduled = True
            self._schedule(self._flush)

    def _flush(self) -> None:
        parts = self._next_parts()
        for wants_probabilities in (False, True):
            alike = [(job, rows) for job, rows in parts if job.wants_probabilities == wants_probabilities]
            if alike:
                self.batches += 1
                self._run(alike, wants_probabilities)
        self._scheduled = bool(self._jobs)
        if self._scheduled:
            self._schedule(self._flush)

    def _next_parts(self) -> list[tuple[Job, list[Row]]]:
        """The next slice of each job, oldest first, as far as a batch holds them; who has more queues up again."""
        parts: list[tuple[Job, list[Row]]] = []
        room, oldest, again = BATCH_ROWS, self._clock() - self._timeout_seconds, list[Job]()
        while self._jobs and room > 0:
            job = self._jobs.popleft()
            if job.begun < oldest:
                _end(job, "timeout")
                continue
            rows = job.rows if len(job.rows) <= SLICE_ROWS else job.rows[job.taken : job.taken + SLICE_ROWS]
            job.taken += len(rows)
            room -= len(rows)
            parts.append((job, rows))
            if job.taken < len(job.rows):
                again.append(job)
        self._jobs.extend(again)
        return parts

    def _run(self, parts: list[tuple[Job, list[Row]]], wants_probabilities: bool) -> None:
        if len(parts) == 1:
            return self._run_alone(*parts[0])
        rows = [row for _, rows in parts for row in rows]
        try:
            predictions = self._predicted(rows, wants_probabilities)
        except Exception:
            # Whoever's rows broke it, the others' rows did not: each job by itself.
            for job, its in parts:
                self._run_alone(job, its)
            return None
        start = 0
        for job, its in parts:
            _give(job, predictions[start : start + len(its)])
            start += len(its)
        return None

    def _run_alone(self, job: Job, rows: list[Row]) -> None:
        try:
            predictions = self._predicted(rows, job.wants_probabilities)
        except Exception as error:  # counted and told as a failure of ours; the process must go on
            return self._fail(job, type(error).__name__)
        return _give(job, predictions)

    def _predicted(self, rows: Sequence[Row], wants_probabilities: bool) -> list[Prediction | None]:
        predictions = self._answer(rows, wants_probabilities)
        if len(predictions) != len(rows):  # whose is whose nobody knows, and who lacks one would wait for ever
            raise ValueError
        return predictions

    def _fail(self, job: Job, reason: str) -> None:
        if job.taken < len(job.rows):
            self._jobs.remove(job)
        _end(job, reason)


def _give(job: Job, predictions: list[Prediction | None]) -> None:
    job.predictions += predictions
    if len(job.predictions) == len(job.rows):
        _tell(job)


def _end(job: Job, reason: str) -> None:
    job.failed = reason
    _tell(job)


def _tell(job: Job) -> None:
    try:
        job.done(job)
    except Exception as error:  # the others in its batch wait for their answers
        sys.stderr.write(f"an answer could not be given: {type(error).__name__}\n")
