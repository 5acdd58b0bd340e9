"""What is answered on which route, to any caller: independent of sockets, so that it can be asked in a test."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from serving_image.account import Account
from serving_image.answering import Answering, Prediction, Unanswered, encoded
from serving_image.batching import Batcher, Job
from serving_image.configuration import Limits, Routes
from serving_image.counting import BinCounts
from serving_image.decoding import Asked, BadRequestError, Decoder
from serving_image.metrics import exposition
from shared.served_model import Row

T = TypeVar("T")
Reply = Callable[[int, bytes, bytes], None]
"""Takes status, content type and body; called exactly once per request, at once or later."""
JSON = b"application/json"
_TEXT = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Loaded:
    """What answers, once everything has been fetched and the models have answered a first row."""

    answering: Answering
    decoder: Decoder
    counts: BinCounts
    account: Account


Answer = tuple[int, bytes, bytes]
"""Status, content type and body."""
Told = Callable[[Sequence[Any]], Any]
"""From the predictions of a request to its answer."""
Post = Callable[[Loaded, bytes], tuple[Asked, Told]]


class Service:
    """Answers requests; before `open` and after `stop` it says that it is not healthy."""

    def __init__(
        self,
        routes: Routes,
        limits: Limits,
        schedule: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.limits = limits
        self.waiting = 0
        """Accepted and not yet answered."""
        self._schedule = schedule
        self._clock = clock
        self._loaded: Loaded | None = None
        self._batcher: Batcher | None = None
        self._stopping = False
        self._gets = {path.encode(): self._health for path in {routes.health, "/health"}} | {b"/metrics": self._metrics}
        self._posts = {routes.predict.encode(): _predict, b"/score": _score}

    def open(self, loaded: Loaded) -> None:
        """From now on rows are answered."""

        def answer(rows: Sequence[Row], wants_probabilities: bool) -> list[Prediction | None]:
            answered = loaded.answering.answered(rows, wants_probabilities)
            loaded.counts.add(rows, answered)
            return answered.predictions

        self._batcher = Batcher(answer, self._clock, self._schedule, self.limits.timeout_seconds)
        self._loaded = loaded

    def stop(self) -> None:
        """From now on it says that it is not healthy, so that nobody sends more."""
        self._stopping = True

    def handle(self, method: bytes, path: bytes, body: bytes, reply: Reply) -> None:
        """Answers one request once, now or later, whatever goes wrong with it."""
        answer = self._guarded(lambda: self._answer(method, path, body, reply))
        if answer is not None:
            reply(*answer)

    def refused(self, status: int, error: str, reply: Reply) -> None:
        """Answers and counts what was not read to its end: the client's mistake, or too much at once for us."""
        if self._loaded is not None:
            (self._loaded.account.failed if status >= 500 else self._loaded.account.refused)()
        reply(*_error(status, error))

    def _answer(self, method: bytes, path: bytes, body: bytes, reply: Reply) -> Answer | None:
        """The answer; None when it will come later."""
        if method == b"POST" and (post := self._posts.get(path)) is not None:
            return self._accept(post, body, reply)
        if method == b"GET" and (get := self._gets.get(path)) is not None:
            return get()
        return _error(404, "there is no such route, or it has another method")

    def _health(self) -> Answer:
        loaded = self._loaded
        status = "stopping" if self._stopping else "starting" if loaded is None else "ok"
        told = {
            "status": status,
            "model_version": loaded.answering.version if loaded else None,
            "supervised_loaded": loaded is not None,
            "unsupervised_loaded": loaded is not None and loaded.answering.model.has_anomaly,
        }
        return 200 if status == "ok" else 503, JSON, encoded(told)

    def _metrics(self) -> Answer:
        if self._loaded is None or self._batcher is None:
            return _error(503, "the model is not loaded yet")
        answering = self._loaded.answering
        version, batches = answering.version, self._batcher.batches
        return 200, _TEXT, exposition(self._loaded.account.ever(), version, self.waiting, batches)

    def _accept(self, post: Post, body: bytes, reply: Reply) -> Answer | None:
        loaded, batcher = self._loaded, self._batcher
        if loaded is None or batcher is None:
            return _error(503, "the model is not loaded yet")
        if self.waiting >= self.limits.requests:
            loaded.account.failed()
            return _error(503, f"{self.limits.requests} requests are waiting already")
        begun = self._clock()
        try:
            asked, told = post(loaded, body)
        except BadRequestError as bad:
            content = encoded({"error": bad.error, "rows": bad.rows})
            loaded.account.refused(len(bad.rows))
            return 400, JSON, content
        self.waiting += 1
        batcher.add(
            Job(asked.rows, asked.wants_probabilities, begun, lambda job: self._done(job, asked, told, loaded, reply))
        )
        return None

    def _done(self, job: Job, asked: Asked, told: Told, loaded: Loaded, reply: Reply) -> None:
        self.waiting -= 1
        reply(*self._guarded(lambda: self._outcome(job, asked, told, loaded)))

    def _outcome(self, job: Job, asked: Asked, told: Told, loaded: Loaded) -> Answer:
        if job.failed is not None:
            return self._failed(job.failed)
        if None in job.predictions:
            return self._failed("an answer of the model is not a number")
        seconds = self._clock() - job.begun
        content = encoded(told(_in_order(asked, job.predictions)))
        loaded.account.answered(seconds, len(asked.rows), len(asked.bad))  # last: what fails is counted as failed only
        return 200, JSON, content

    def _guarded(self, answer: Callable[[], T]) -> T | Answer:
        try:
            return answer()
        except Exception as error:  # counted and told as a failure of ours; the process must go on
            return self._failed(type(error).__name__)

    def _failed(self, reason: str) -> Answer:
        if self._loaded is not None:
            self._loaded.account.failed()
        if reason == "timeout":
            return _error(504, f"no answer within {self.limits.timeout_seconds:g} s")
        return _error(500, f"internal error: {reason}")  # nothing of the inside


def _error(status: int, error: str) -> Answer:
    return status, JSON, encoded({"error": error})


def _predict(loaded: Loaded, body: bytes) -> tuple[Asked, Told]:
    return loaded.decoder.request(body), lambda items: {"predictions": items}


def _score(loaded: Loaded, body: bytes) -> tuple[Asked, Told]:
    return loaded.decoder.row(body), lambda items: loaded.answering.score(items[0])


def _in_order(asked: Asked, predictions: Sequence[Any]) -> Sequence[Any]:
    """One item per row of the request, in its order: its prediction, or why there is none."""
    if not asked.bad:
        return predictions
    bad, good = {row.row: Unanswered(row) for row in asked.bad}, iter(predictions)
    return [bad.get(index) or next(good) for index in range(len(asked.bad) + len(predictions))]
