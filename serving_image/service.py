"""What is answered on which route, to any caller: independent of sockets, so that it can be asked in a test."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from serving_image.account import Account
from serving_image.answering import Answering, Prediction, Unanswered, encoded
from serving_image.batching import Batcher, Job
from serving_image.configuration import Limits, Routes
from serving_image.counting import BinCounts
from serving_image.decoding import Asked, BadRequestError, Decoder
from serving_image.metrics import exposition
from shared.served_model import Row

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
        """Answers one request."""
        if method == b"POST" and (post := self._posts.get(path)) is not None:
            return self._accept(post, body, reply)
        if method == b"GET" and (get := self._gets.get(path)) is not None:
            return get(reply)
        return reply(404, JSON, encoded({"error": "there is no such route, or it has another method"}))

    def refused(self, status: int, error: str, reply: Reply) -> None:
        """Answers and counts what was not read to its end: the client's mistake, or too much at once for us."""
        if self._loaded is not None:
            (self._loaded.account.failed if status >= 500 else self._loaded.account.refused)()
        reply(status, JSON, encoded({"error": error}))

    def _health(self, reply: Reply) -> None:
        loaded = self._loaded
        status = "stopping" if self._stopping else "starting" if loaded is None else "ok"
        told = {
            "status": status,
            "model_version": loaded.answering.version if loaded else None,
            "supervised_loaded": loaded is not None,
            "unsupervised_loaded": loaded is not None and loaded.answering.model.has_anomaly,
        }
        reply(200 if status == "ok" else 503, JSON, encoded(told))

    def _metrics(self, reply: Reply) -> None:
        if self._loaded is None or self._batcher is None:
            return reply(503, JSON, encoded({"error": "the model is not loaded yet"}))
        answering = self._loaded.answering
        version, batches = answering.version, self._batcher.batches
        return reply(200, _TEXT, exposition(self._loaded.account.ever(), version, self.waiting, batches))

    def _accept(self, post: Post, body: bytes, reply: Reply) -> None:
        loaded, batcher = self._loaded, self._batcher
        if loaded is None or batcher is None:
            return reply(503, JSON, encoded({"error": "the model is not loaded yet"}))
        if self.waiting >= self.limits.requests:
            loaded.account.failed()
            return reply(503, JSON, encoded({"error": f"{self.limits.requests} requests are waiting already"}))
        begun = self._clock()
        try:
            asked, told = post(loaded, body)
        except BadRequestError as bad:
            loaded.account.refused(len(bad.rows))
            return reply(400, JSON, encoded({"error": bad.error, "rows": bad.rows}))
        except Exception as error:  # counted and told as a failure of ours; the process must go on
            return self._failed(type(error).__name__, loaded, reply)
        self.waiting += 1
        return batcher.add(
            Job(asked.rows, asked.wants_probabilities, begun, lambda job: self._done(job, asked, told, loaded, reply))
        )

    def _done(self, job: Job, asked: Asked, told: Told, loaded: Loaded, reply: Reply) -> None:
        self.waiting -= 1
        if job.failed is not None:
            return self._failed(job.failed, loaded, reply)
        if None in job.predictions:
            return self._failed("an answer of the model is not a number", loaded, reply)
        loaded.account.answered(self._clock() - job.begun, len(asked.rows), len(asked.bad))
        return reply(200, JSON, encoded(told(_in_order(asked, job.predictions))))

    def _failed(self, reason: str, loaded: Loaded, reply: Reply) -> None:
        loaded.account.failed()
        if reason == "timeout":
            return reply(504, JSON, encoded({"error": f"no answer within {self.limits.timeout_seconds:g} s"}))
        return reply(500, JSON, encoded({"error": f"internal error: {reason}"}))  # nothing of the inside


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
