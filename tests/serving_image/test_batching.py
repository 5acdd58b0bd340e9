"""Requests of one tick are answered together, long ones in turn with the others, and none waits for ever."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from serving_image.answering import Prediction
from serving_image.batching import BATCH_ROWS, SLICE_ROWS, Batcher, Job
from shared.served_model import Row


class Loop:
    """Ticks by hand, with a clock that the test moves, and a model that tells each row its own number."""

    def __init__(self, forgotten: int = 0) -> None:
        self.forgotten = forgotten
        self.now = 0.0
        self.due: deque[Callable[[], None]] = deque()
        self.calls: list[int] = []
        self.ended: list[Job] = []
        self.batcher = Batcher(self.answer, lambda: self.now, self.due.append, 30.0)

    def answer(self, rows: Sequence[Row], wants_probabilities: bool) -> list[Prediction | None]:
        self.calls.append(len(rows))
        if ("broken",) in rows:
            raise ValueError("broken")
        return [Prediction(str(row[0]), float(wants_probabilities)) for row in rows[self.forgotten :]]

    def job(self, *cells: Any, wants_probabilities: bool = False) -> Job:
        job = Job([(cell,) for cell in cells], wants_probabilities, self.now, self.ended.append)
        self.batcher.add(job)
        return job

    def tick(self) -> None:
        for _ in range(len(self.due)):
            self.due.popleft()()


def told(job: Job) -> list[str]:
    return [str(prediction.label) if prediction else "" for prediction in job.predictions]


def test_what_comes_within_a_tick_is_answered_by_one_call() -> None:
    loop = Loop()
    jobs = [loop.job(number, number + 100) for number in range(50)]
    loop.tick()
    assert (loop.calls, loop.ended) == ([100], jobs)
    assert [told(job) for job in jobs] == [[str(number), str(number + 100)] for number in range(50)]
    assert not loop.due


def test_a_long_request_is_answered_in_turn_with_the_others() -> None:
    loop = Loop()
    long = loop.job(*range(5 * SLICE_ROWS))
    loop.tick()
    short = loop.job("short")
    loop.tick()
    assert loop.ended == [short]
    while loop.due:
        loop.tick()
    assert loop.ended == [short, long]
    assert told(long) == [str(number) for number in range(5 * SLICE_ROWS)]
    assert max(loop.calls) <= SLICE_ROWS + 1


def test_a_batch_has_an_end() -> None:
    loop = Loop()
    jobs = [loop.job(*range(SLICE_ROWS)) for _ in range(10)]
    loop.tick()
    assert (loop.calls, loop.ended) == ([BATCH_ROWS], jobs[:4])
    while loop.due:
        loop.tick()
    assert loop.ended == jobs


def test_who_breaks_a_batch_breaks_it_for_nobody_else() -> None:
    loop = Loop()
    jobs = [loop.job("a"), loop.job("broken", *range(2 * SLICE_ROWS)), loop.job("b")]
    while loop.due:
        loop.tick()
    assert [job.failed for job in jobs] == [None, "ValueError", None]
    assert [told(jobs[0]), told(jobs[2])] == [["a"], ["b"]]
    assert len(loop.ended) == 3


def test_only_who_asked_for_probabilities_gets_them() -> None:
    loop = Loop()
    jobs = [loop.job(number, wants_probabilities=number % 2 == 0) for number in range(6)]
    loop.tick()
    assert [job.predictions[0].probability for job in jobs if job.predictions[0]] == [1, 0, 1, 0, 1, 0]
    assert loop.calls == [3, 3]


def test_what_has_waited_too_long_is_told_so_and_not_calculated() -> None:
    loop = Loop()
    late = loop.job("late")
    loop.now = 31.0
    punctual = loop.job("punctual")
    loop.tick()
    assert (late.failed, punctual.failed, loop.calls) == ("timeout", None, [1])


@pytest.mark.parametrize("cell", ["x", "broken", "late"])
def test_who_cannot_be_given_an_answer_takes_nobody_elses(capfd: pytest.CaptureFixture[str], cell: str) -> None:
    loop = Loop()

    def fail(_: Job) -> None:
        raise OSError("a secret")

    before = loop.job("before")
    loop.batcher.add(Job([(cell,)], False, -31.0 if cell == "late" else 0.0, fail))
    beside, probabilities = loop.job("beside"), loop.job("probabilities", wants_probabilities=True)
    loop.tick()
    assert loop.ended == [before, beside, probabilities]
    assert [told(job) for job in loop.ended] == [["before"], ["beside"], ["probabilities"]]
    assert capfd.readouterr().err == "an answer could not be given: OSError\n"
    after = loop.job("after")
    loop.tick()
    assert told(after) == ["after"]


def test_a_model_that_answers_fewer_rows_than_asked_keeps_nobody_waiting() -> None:
    loop = Loop(forgotten=1)
    jobs = [loop.job("a"), loop.job("b", "c")]
    loop.tick()
    assert loop.ended == jobs
    assert [job.failed for job in jobs] == ["ValueError", "ValueError"]
