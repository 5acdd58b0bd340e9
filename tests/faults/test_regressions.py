"""What the long form found, each run as it printed it; none of them may go wrong again."""

from tests.faults.replaying import replay


def test_who_slept_and_died_after_creating_a_scoring_job_cancels_it_when_it_comes_again() -> None:
    assert replay("score_batch", [1, *[0] * 19, 1, *[0] * 5, 1], crashes=1, naps=1, switches=0, copies=2) == ""
