"""One answer per question: the first counts, a late or second one changes nothing and its sender is told."""

from datetime import timedelta
from typing import Any

import pytest

from shared.envelope import Envelope
from shared.errors import Transient
from shared.events import ApprovalRequested, DeploymentApproved, DeploymentRejected, Notification
from tests.functions.standing_run import RUN, event, open_run, published, record, records, topics
from tests.world.cloud import START, MemoryCloud
from tests.world.running import data_of, send

EXPIRES_SECONDS = 72 * 3600
ASKED = ApprovalRequested(
    model="digits",
    run=RUN,
    artefacts="gs://artefacts/digits/digits-000002/1/model/",
    digest="d" * 64,
    score=60,
    reasons=("improvement: 0 of 40; no improvement",),
    expires=START + timedelta(seconds=EXPIRES_SECONDS),
)


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    open_run(made)
    record(made, "decision", {"verdict": "ask"}, ASKED)
    return made


def answer(cloud: MemoryCloud, envelope: Envelope) -> int:
    return send(cloud, "record_approval", envelope)


def approve(id: str = "answers/approve", by: str = "ada@example.org") -> Envelope:
    return _named(event("approval-answered", by=by), id)


def reject(id: str = "answers/reject") -> Envelope:
    return _named(event("approval-answered", answer="reject", by="bob@example.org", because="wrong labels"), id)


def expire() -> Envelope:
    kept = event("approval-answered", answer="expire", by="reconcile", because="nobody answered in time")
    return _named(kept, "runs/digits/000002/decision/expired")


def _named(envelope: Envelope, id: str) -> Envelope:
    return Envelope(id, envelope.source, envelope.time, envelope.payload, envelope.cause, envelope.traceparent)


def approval(cloud: MemoryCloud) -> Any:
    return data_of(cloud, "runs/digits/000002/approval")


def test_approved_by_a_person_goes_on_with_what_was_asked(cloud: MemoryCloud) -> None:
    assert answer(cloud, approve()) == 200
    approved, notice = published(cloud)
    assert isinstance(approved, DeploymentApproved)
    assert isinstance(notice, Notification)
    assert (approved.by, approved.score, approved.artefacts, approved.digest) == (
        "ada@example.org", 60, ASKED.artefacts, ASKED.digest,
    )  # fmt: skip
    assert approved.reasons == ("approve by ada@example.org: the new labels are right", *ASKED.reasons)
    assert approval(cloud) == {"answer": "approve", "by": "ada@example.org", "because": "the new labels are right"}
    assert "end" not in records(cloud)


@pytest.mark.parametrize(
    ("envelope", "title"),
    [
        (reject(), "digits-000002: rejected by bob@example.org"),
        (expire(), "digits-000002: expired"),
    ],
)
def test_rejected_or_expired_ends_the_run(cloud: MemoryCloud, envelope: Envelope, title: str) -> None:
    cloud.pass_time(EXPIRES_SECONDS if "expired" in title else 0)
    assert answer(cloud, envelope) == 200
    rejected, notice = published(cloud)
    assert isinstance(rejected, DeploymentRejected)
    assert isinstance(notice, Notification)
    end = data_of(cloud, "runs/digits/000002/end")
    assert (end["outcome"], end["set_aside"], rejected.set_aside, notice.title) == ("rejected", False, False, title)
    assert end["by"] == rejected.by == approval(cloud)["by"]


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    cloud = MemoryCloud()
    open_run(cloud)
    record(cloud, "decision", {"verdict": "deploy"})
    assert answer(cloud, approve()) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why == ("nothing was asked about this run",)
    assert records(cloud) == ["decision"]


def test_an_answer_about_an_unknown_run_is_refused() -> None:
    cloud = MemoryCloud()
    assert answer(cloud, approve()) == 200
    assert topics(cloud) == ["notifications"]
    assert records(cloud) == []


def test_who_answers_second_obeys_and_is_told(cloud: MemoryCloud) -> None:
    answer(cloud, approve())
    first = cloud.bus.take()
    assert answer(cloud, reject()) == 200
    assert cloud.bus.messages[:2] == first
    notice = published(cloud)[2]
    assert isinstance(notice, Notification)
    assert notice.why == ("ada@example.org had answered approve", "reject by bob@example.org: wrong labels")
    assert (approval(cloud)["answer"], "end" in records(cloud)) == ("approve", False)


def test_expiry_after_an_answer_says_nothing_new(cloud: MemoryCloud) -> None:
    answer(cloud, approve())
    first = cloud.bus.take()
    assert answer(cloud, expire()) == 200
    assert cloud.bus.take() == first
    assert "end" not in records(cloud)


def test_approval_after_the_time_is_over_is_kept_but_does_not_count(cloud: MemoryCloud) -> None:
    cloud.pass_time(EXPIRES_SECONDS)
    assert answer(cloud, approve()) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why[0] == "it expired at 2026-01-04 00:00 UTC"
    assert "approval" not in records(cloud)
    assert answer(cloud, expire()) == 200
    assert approval(cloud)["answer"] == "expire"
    assert data_of(cloud, "runs/digits/000002/end")["outcome"] == "rejected"


def test_approval_in_the_last_second_counts_and_still_counts_when_redelivered_later(cloud: MemoryCloud) -> None:
    cloud.pass_time(EXPIRES_SECONDS - 1)
    assert answer(cloud, approve()) == 200
    first = cloud.bus.take()
    cloud.pass_time(3600)
    assert answer(cloud, approve()) == 200
    assert cloud.bus.take() == first


def test_a_late_rejection_is_refused_like_any_late_answer(cloud: MemoryCloud) -> None:
    cloud.pass_time(EXPIRES_SECONDS + 1)
    assert answer(cloud, reject()) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why[0] == "it expired at 2026-01-04 00:00 UTC"
    assert "approval" not in records(cloud)


def test_a_question_does_not_expire_before_its_time_whoever_says_so(cloud: MemoryCloud) -> None:
    assert answer(cloud, expire()) == 200
    (notice,) = published(cloud)
    assert isinstance(notice, Notification)
    assert notice.why[0] == "it expires at 2026-01-04 00:00 UTC, not before"
    assert "approval" not in records(cloud)


@pytest.mark.parametrize("envelope", [approve(by="eve@example.org"), reject()])
def test_who_is_not_among_the_approvers_is_refused_and_the_question_stands(envelope: Envelope) -> None:
    made = MemoryCloud()
    open_run(made)
    asked = ASKED.model_copy(update={"approvers": ("ada@example.org", "kim@example.org")})
    record(made, "decision", {"verdict": "ask"}, asked)
    assert answer(made, envelope) == 200
    (notice,) = published(made)
    assert isinstance(notice, Notification)
    assert notice.why[0].endswith("is not among those who may answer: ada@example.org, kim@example.org")
    assert answer(made, approve()) == 200
    assert approval(made)["by"] == "ada@example.org"


@pytest.mark.parametrize("envelope", [approve(), reject(), expire()])
def test_a_redelivered_answer_says_the_same_again(cloud: MemoryCloud, envelope: Envelope) -> None:
    cloud.pass_time(EXPIRES_SECONDS if envelope.id.endswith("expired") else 0)
    answer(cloud, envelope)
    first = cloud.bus.take()
    assert answer(cloud, envelope) == 200
    assert cloud.bus.take() == first


def test_of_two_answers_at_once_one_counts(cloud: MemoryCloud) -> None:
    cloud.door.meanwhile["storage.create"] = lambda: _assert_ok(answer(cloud, reject()))
    assert answer(cloud, approve()) == 200
    assert approval(cloud)["answer"] == "reject"
    payloads = published(cloud)
    assert not [each for each in payloads if isinstance(each, DeploymentApproved)]
    titles = [each.title for each in payloads if isinstance(each, Notification)]
    assert titles.count("digits-000002: the answer of ada@example.org does not count") == 1


def test_a_crash_between_answer_and_end_is_made_good_by_the_redelivery(cloud: MemoryCloud) -> None:
    cloud.door.after["storage.create"] = Transient("storage.create", "timeout")
    assert answer(cloud, reject()) == 500
    assert (published(cloud), records(cloud)) == ([], ["approval", "decision"])
    assert answer(cloud, reject()) == 200
    assert topics(cloud) == ["deployment-rejected", "notifications"]
    assert records(cloud) == ["approval", "decision", "end"]


def _assert_ok(status: int) -> None:
    assert status == 200
