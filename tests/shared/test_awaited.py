"""A job that a function ordered and left is told as spans in the run's trace, its waiting apart from its work."""

from datetime import datetime, timedelta

from shared.awaited import tell
from shared.ledger import Author, Ledger, Origin, Outcome
from shared.logs import Log
from shared.step import Step
from shared.trace import continued, parts, started
from tests.world.cloud import START, MemoryCloud

CHAIN = started("the beginning of a run")


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def step(cloud: MemoryCloud, function: str, cause: str, parent: str | None = CHAIN) -> Step:
    """A function at work on an event of the chain."""
    trace = continued(parent, function, cause) if parent else None
    author = Author(function, cause, trace, cloud.now, cloud.token, Origin(cause, START, cloud.now()))
    log = Log(function, "p", model="digits", run="digits-000001", traceparent=trace)
    return Step(function, cloud, Ledger(cloud.state, author), log, cause)


def test_waiting_and_work_are_two_spans_below_the_function_that_ordered_it() -> None:
    cloud = MemoryCloud()
    ordering = step(cloud, "launch_training", "training-requested/1")
    ordered = ordering.ledger.record("job-1", Outcome({}))
    cloud.pass_time(60)
    tell("training job", ordered, after(10), after(50), step(cloud, "decide_deployment", "evaluation-completed/1"))
    times = {span.name: (span.began, span.ended, span.outcome) for span in cloud.spans.exported}
    assert times == {
        "training job": (after(10), after(50), "done"),
        "training job: waiting": (START, after(10), "done"),
    }
    assert {span.parent for span in cloud.spans.exported} == {ordering.log.traceparent}
    assert {(parts(span.traceparent) or ("",))[0] for span in cloud.spans.exported} == {(parts(CHAIN) or ("",))[0]}
    assert cloud.spans.exported[0].attributes == {"serin.model": "digits", "serin.run": "digits-000001"}


def test_told_twice_it_is_the_same_span() -> None:
    cloud = MemoryCloud()
    ordered = step(cloud, "stage_model", "deployment-approved/1").ledger.record("upload", Outcome({}))
    for _ in range(2):
        tell("upload", ordered, None, None, step(cloud, "stage_model", "deployment-approved/1"))
    first, second = cloud.spans.exported
    assert first == second
    assert (first.began, first.ended) == (START, START)


def test_a_clock_that_is_behind_makes_no_time_negative() -> None:
    cloud = MemoryCloud()
    ordered = step(cloud, "launch_training", "1").ledger.record("job-1", Outcome({}))
    tell("training job", ordered, after(-5), after(-2), step(cloud, "launch_training", "2"), "failed")
    assert {(span.began, span.ended) for span in cloud.spans.exported} == {(START, START)}


def test_without_a_trace_nothing_is_told() -> None:
    cloud = MemoryCloud()
    ordered = step(cloud, "launch_training", "1").ledger.record("job-1", Outcome({}))
    tell("training job", ordered, None, None, step(cloud, "decide_deployment", "2", None))
    assert cloud.spans.exported == []
