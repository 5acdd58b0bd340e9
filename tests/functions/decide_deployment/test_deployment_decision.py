"""One decision per run, from the recorded job's evaluation alone, whatever is delivered how often in whatever order."""

from typing import Any

import pytest

from shared.envelope import Envelope
from shared.errors import Transient
from shared.evaluation import Difference, Evaluation, MetricComparison
from shared.events import (
    ApprovalRequested,
    DeploymentApproved,
    DeploymentRejected,
    EvaluationCompleted,
    Notification,
)
from shared.scorecard import Card
from tests.functions.standing_run import JOB, RUN, event, open_run, published, record, records, topics
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of, send

NONE = Difference(estimate=-0.02, low=-0.05, high=0.01)
SHUFFLED = Difference(estimate=-0.01, low=-0.06, high=0.04)


def evaluated(**evaluation: Any) -> Envelope:
    """The kept event, its evaluation changed where asked."""
    kept = event("evaluation-completed").payload
    assert isinstance(kept, EvaluationCompleted)
    return event("evaluation-completed", evaluation=kept.evaluation.model_copy(update=evaluation))


def compared(difference: Difference) -> tuple[MetricComparison, ...]:
    """The kept comparisons, that of the accuracy with another difference."""
    kept = event("evaluation-completed").payload
    assert isinstance(kept, EvaluationCompleted)
    first, *others = kept.evaluation.comparisons
    return first.model_copy(update={"difference": difference}), *others


def poor() -> Envelope:
    return evaluated(comparisons=compared(NONE), challenger=_scores(0.70))


def shuffled() -> Envelope:
    chance = MetricComparison(metric="accuracy", higher_is_better=True, difference=SHUFFLED)
    return evaluated(comparisons=compared(NONE), versus_baseline=chance, challenger=_scores(0.12))


def middling() -> Envelope:
    """No better than production, but good: 60 points."""
    return evaluated(comparisons=compared(NONE))


def _scores(score: float) -> Any:
    kept = event("evaluation-completed").payload
    assert isinstance(kept, EvaluationCompleted)
    return kept.evaluation.challenger.model_copy(update={"score": score})


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    open_run(made)
    record(made, "job-1", {"job": JOB, "attempt": 1, "output": "gs://artefacts/digits/digits-000002/1"})
    return made


def decide(cloud: MemoryCloud, envelope: Envelope) -> int:
    return send(cloud, "decide_deployment", envelope)


def decision(cloud: MemoryCloud) -> Any:
    return data_of(cloud, "runs/digits/000002/decision")


def test_a_clear_winner_is_deployed_and_the_card_says_why(cloud: MemoryCloud) -> None:
    assert decide(cloud, event("evaluation-completed")) == 200
    approved, notice = published(cloud)
    assert isinstance(approved, DeploymentApproved)
    assert isinstance(notice, Notification)
    assert (approved.score, approved.by, approved.artefacts) == (
        100,
        "scorecard",
        "gs://artefacts/digits/digits-000002/1/model/",
    )
    assert [reason.split(";")[0] for reason in notice.why] == [
        "improvement: 40 of 40",
        "quality: 30 of 30",
        "fold deviation: 10 of 10",
        "train/test gap: 10 of 10",
        "every label: 10 of 10",
    ]
    assert "end" not in records(cloud)


def test_the_decision_holds_everything_needed_to_repeat_it(cloud: MemoryCloud) -> None:
    decide(cloud, event("evaluation-completed"))
    kept = decision(cloud)
    assert (kept["verdict"], kept["attempt"], kept["job"], kept["card"]["total"]) == ("deploy", 1, JOB, 100)
    told = event("evaluation-completed").payload
    assert isinstance(told, EvaluationCompleted)
    assert Evaluation.model_validate(kept["evaluation"]) == told.evaluation
    assert (kept["artefacts"], kept["digest"]) == (told.artefacts, told.digest)


def test_what_follows_names_the_evaluation_as_its_cause_and_stays_in_its_trace(cloud: MemoryCloud) -> None:
    cause = event("evaluation-completed")
    decide(cloud, cause)
    assert {each.cause for each in cloud.bus.events()} == {cause.id}
    (trace,) = {(each.traceparent or "").split("-")[1] for each in cloud.bus.events()}
    assert trace == (cause.traceparent or "").split("-")[1]


def test_between_the_bounds_a_person_is_asked_until_the_settings_time_is_over(cloud: MemoryCloud) -> None:
    assert decide(cloud, middling()) == 200
    asked, notice = published(cloud)
    assert isinstance(asked, ApprovalRequested)
    assert isinstance(notice, Notification)
    assert (asked.score, (asked.expires - START).total_seconds()) == (60, 72 * 3600)
    assert notice.next == f"serin approve {RUN} or serin reject {RUN}, before 2026-01-04 00:00 UTC"
    assert asked.report == "gs://artefacts/digits/digits-000002/1/model/report.html"
    assert notice.link == "https://storage.cloud.google.com/artefacts/digits/digits-000002/1/model/report.html"
    assert asked.approvers == ()
    assert asked.question.startswith(f"Shall {RUN} get its first traffic? 60 points")
    assert "end" not in records(cloud)


def test_who_is_asked_is_told_what_a_yes_would_cost(cloud: MemoryCloud) -> None:
    decide(cloud, middling())
    asked, notice = published(cloud)
    assert isinstance(asked, ApprovalRequested) and isinstance(notice, Notification)
    assert asked.costs is not None
    canary, month, million = asked.costs.of
    assert [canary.what, month.what, million.what] == ["a canary of 24.25 h", "an idle month", "a million predictions"]
    assert canary.dollars == pytest.approx(24.25 * 0.1095, rel=0.1)
    assert month.dollars == pytest.approx(730 * 0.1095, rel=0.1)
    assert notice.why[-1].startswith("costs, at list prices of 20")
    assert "an idle month $" in notice.why[-1]


def test_of_a_trainer_of_ones_own_which_need_not_leave_a_report_the_folder_is_linked() -> None:
    cloud = MemoryCloud()
    open_run(cloud, training={"image": "own-trainer:1"})
    record(cloud, "job-1", {"job": JOB, "attempt": 1})
    assert decide(cloud, middling()) == 200
    (notice,) = [each for each in published(cloud) if isinstance(each, Notification)]
    assert notice.link == "https://console.cloud.google.com/storage/browser/artefacts/digits/digits-000002/1/model/"


def test_those_who_may_answer_are_named_in_the_question() -> None:
    cloud = MemoryCloud()
    open_run(cloud, approval={"approvers": ["ada@example.org"]})
    record(cloud, "job-1", {"job": JOB, "attempt": 1})
    assert decide(cloud, middling()) == 200
    asked, notice = published(cloud)
    assert isinstance(asked, ApprovalRequested) and isinstance(notice, Notification)
    assert asked.approvers == ("ada@example.org",)
    assert "(by ada@example.org)" in (notice.next or "")


@pytest.mark.parametrize("envelope", [event("evaluation-completed"), middling(), poor()])
def test_record_and_event_hold_the_same_whole_card(cloud: MemoryCloud, envelope: Envelope) -> None:
    assert decide(cloud, envelope) == 200
    told = next(each for each in published(cloud) if not isinstance(each, Notification))
    card: Card = told.card  # type: ignore[attr-defined]
    assert card.model_dump(mode="json") == decision(cloud)["card"]
    assert (len(card.criteria), card.rubric_version, len(card.rubric_digest)) == (5, 1, 12)


def test_too_few_points_reject_and_end_the_run_but_keep_its_rows(cloud: MemoryCloud) -> None:
    assert decide(cloud, poor()) == 200
    rejected, notice = published(cloud)
    assert isinstance(rejected, DeploymentRejected)
    assert isinstance(notice, Notification)
    end = data_of(cloud, "runs/digits/000002/end")
    assert (end["outcome"], end["by"], end["set_aside"], rejected.set_aside) == ("rejected", "scorecard", False, False)
    assert tuple(end["reasons"]) == notice.why == rejected.reasons


def test_no_better_than_the_majority_class_sets_the_rows_aside(cloud: MemoryCloud) -> None:
    decide(cloud, shuffled())
    rejected, notice = published(cloud)
    assert isinstance(rejected, DeploymentRejected)
    assert isinstance(notice, Notification)
    assert (rejected.set_aside, data_of(cloud, "runs/digits/000002/end")["set_aside"]) == (True, True)
    assert any(reason.startswith("veto: not significantly better") for reason in notice.why)
    assert notice.why[-1] == "its rows are set aside: later runs do not train on them"


def test_before_its_job_is_recorded_an_evaluation_is_not_yet() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    assert decide(cloud, event("evaluation-completed")) == 500
    assert (published(cloud), records(cloud)) == ([], [])
    record(cloud, "job-1", {"job": JOB, "attempt": 1})
    assert decide(cloud, event("evaluation-completed")) == 200
    assert decision(cloud)["verdict"] == "deploy"


def test_the_evaluation_of_a_stray_job_is_nothing(cloud: MemoryCloud) -> None:
    assert decide(cloud, event("evaluation-completed", job="1702")) == 200
    assert (published(cloud), records(cloud)) == ([], ["job-1"])


def test_a_job_may_be_named_in_full(cloud: MemoryCloud) -> None:
    assert decide(cloud, event("evaluation-completed", job=JOB)) == 200
    assert decision(cloud)["job"] == JOB


def test_an_attempt_that_was_given_up_is_not_heard_any_more(cloud: MemoryCloud) -> None:
    record(cloud, "failed-1", {"reason": "hung"})
    assert decide(cloud, event("evaluation-completed")) == 200
    assert (published(cloud), "decision" in records(cloud)) == ([], False)


def test_a_second_attempts_evaluation_does_not_decide_again(cloud: MemoryCloud) -> None:
    decide(cloud, event("evaluation-completed"))
    published(cloud)
    record(cloud, "job-2", {"job": JOB.replace("1701", "1702"), "attempt": 2})
    assert decide(cloud, event("evaluation-completed", attempt=2, job="1702")) == 200
    assert (published(cloud), decision(cloud)["attempt"]) == ([], 1)


@pytest.mark.parametrize("envelope", [event("evaluation-completed"), middling(), shuffled()])
def test_a_redelivery_says_the_same_again_under_the_same_ids(cloud: MemoryCloud, envelope: Envelope) -> None:
    decide(cloud, envelope)
    first = cloud.bus.take()
    cloud.pass_time(1000)
    assert decide(cloud, envelope) == 200
    assert cloud.bus.take() == first


@pytest.mark.parametrize("envelope", [event("evaluation-completed"), middling(), shuffled()])
def test_of_two_that_decide_at_once_one_counts_and_both_say_so(cloud: MemoryCloud, envelope: Envelope) -> None:
    cloud.door.meanwhile["storage.create"] = lambda: _assert_ok(decide(cloud, envelope))
    assert decide(cloud, envelope) == 200
    said = cloud.bus.take()
    assert len(said) == 4
    assert said[:2] == said[2:]


def test_a_crash_between_decision_and_end_is_made_good_by_the_redelivery(cloud: MemoryCloud) -> None:
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    assert decide(cloud, shuffled()) == 500
    assert (published(cloud), records(cloud)) == ([], ["decision", "job-1"])
    assert decide(cloud, shuffled()) == 200
    assert topics(cloud) == ["deployment-rejected", "notifications"]
    assert records(cloud) == ["decision", "end", "job-1"]


def test_a_crash_before_publishing_is_made_good_by_the_redelivery(cloud: MemoryCloud) -> None:
    cloud.door.before["pubsub.publish"] = Transient("pubsub.publish", "timeout")
    assert decide(cloud, event("evaluation-completed")) == 500
    assert decide(cloud, event("evaluation-completed")) == 200
    assert topics(cloud) == ["deployment-approved", "notifications"]


def test_an_event_that_lacks_fields_is_refused_with_every_reason(cloud: MemoryCloud) -> None:
    broken = event("evaluation-completed", digest=None, evaluation=None)
    assert decide(cloud, broken) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert {reason.split(":")[0] for reason in notice.why} == {"digest", "evaluation"}


def _assert_ok(status: int) -> None:
    assert status == 200
