"""The checks of the judge find what they are there to find: mistakes put into its real code, one at each guard."""

from collections.abc import Callable

import pytest

from bench.judge_traffic import Behaviour
from tests.faults.seeding import Bug, seeded
from tests.functions.monitor_canary import test_intervals as intervals
from tests.functions.monitor_canary import test_judge_twin as twins

FOLDER = "functions/monitor_canary/"


def compared_with_the_twin() -> None:
    """A few streams on which judge and twin must agree."""
    streams = ((Behaviour(errors=0.003), 30_000), (Behaviour(wrong=0.13), 600), (Behaviour(errors=0.03), 600))
    for canary, requests in streams:
        both, minute = twins.Both(twins.QUICK), twins.streams(canary, requests)
        for number, percent in enumerate([0] * 2 + [5] * 10 + [25] * 6):
            both.advance(number, minute(percent), percent)
            both.compare()


def bug(name: str, module: str, old: str, new: str) -> Bug:
    return Bug(name, f"{FOLDER}{module}.py", old, new)


BUGS: tuple[tuple[Bug, Callable[[], None]], ...] = (
    (bug("does not ask whether harm matters", "judge", "return significant and material", "return significant"),
     compared_with_the_twin),
    (bug("gives every test the whole chance", "judge_reasons", "return len(TESTS) / (rules", "return 1 / (rules"),
     compared_with_the_twin),
    (bug("bets on what it has just seen", "judge_state", "self._bet(arms, rate.value, margin)",
         "self._bet(arms, known.value, margin)"), compared_with_the_twin),
    (bug("takes production's rate for the nearest", "eprocess",
         "return (arms.canary_units * canary + arms.production_units * production) / units", "return production"),
     compared_with_the_twin),
    (bug("forgets how an earlier step was split", "judge", '"split_before": state.log_split', '"split_before": 0.0'),
     compared_with_the_twin),
    (bug("counts while the traffic changes", "interval_closing", "shares.at(number), shares.changing(number)",
         "shares.at(number), False"),
     intervals.test_what_happens_between_an_order_and_its_being_seen_counts_for_no_share),
    (bug("does not wait out the grace", "interval_closing", " - rules.grace_intervals", ""),
     lambda: intervals.test_any_crash_duplicate_or_order_within_the_grace_gives_the_same_records(0)),
    (bug("counts a receipt as often as it comes", "labels_seen", "if bits[place] & mask:", "if False:"),
     intervals.test_a_label_counts_in_the_interval_in_which_it_came_and_once_whatever_batch_names_it),
    (bug("forgets what earlier rollouts have counted", "interval_closing", "else _seen_before(rollout, step)",
         "else {}"), intervals.test_a_label_that_an_earlier_rollout_has_counted_counts_for_nobody),
    (bug("does not say that a report came late", "evidence_keeping",
         "    _carry_late(event, number, arm, came, told, step)\n", "    assert came\n"),
     intervals.test_a_late_report_is_told_to_one_interval_however_often_it_comes),
    (bug("tells of a pause in every interval", "verdict_consequences", "{int(last.data['step']):06d}",
         "{last.key[-12:]}"),
     intervals.test_when_only_labels_are_missing_people_are_told_once_and_the_canary_waits),
    (bug("bets all at once when a bake begins", "bake_watch", "stake = -math.log(place * (place + 1))",
         "stake = 0.0 if place == 1 else _NOTHING"),
     intervals.test_a_candidate_is_not_promoted_before_all_of_its_bake_has_been_judged),
    (bug("promotes before it has judged", "canary_watch", " or not caught_up(rollout, rules, step):", ":"),
     intervals.test_a_candidate_is_not_promoted_before_all_of_its_bake_has_been_judged),
)  # fmt: skip


@pytest.mark.parametrize(("mistake", "check"), BUGS, ids=[mistake.name for mistake, _ in BUGS])
def test_a_seeded_mistake_is_noticed(mistake: Bug, check: Callable[[], None]) -> None:
    with seeded(mistake), pytest.raises((AssertionError, IndexError, ValueError)):
        check()
