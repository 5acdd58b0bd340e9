"""A receipt counts once, in whatever order receipts come and however often the count is put down and taken up."""

import json
import random
import time

from labels_seen import LabelsSeen


def test_a_receipt_counts_once_in_whatever_order() -> None:
    order = [(reporter, number) for reporter in "ab" for number in range(0, 30_000, 7)] * 2
    random.Random(1).shuffle(order)
    kept: dict[str, dict[str, dict[str, str]]] = {}
    counted = 0
    for start in range(0, len(order), 1000):
        seen = LabelsSeen(json.loads(json.dumps(kept)))
        counted += sum(seen.add("2", reporter, number) for reporter, number in order[start : start + 1000])
        kept = seen.to_json()
    assert counted == len(order) // 2


def test_the_same_number_of_another_deployment_or_reporter_is_another_receipt() -> None:
    seen = LabelsSeen({})
    assert [seen.add("1", "a", 5), seen.add("2", "a", 5), seen.add("1", "b", 5), seen.add("1", "a", 5)] == [
        True, True, True, False,
    ]  # fmt: skip


def test_blocks_that_nobody_touches_are_carried_as_they_are() -> None:
    first = LabelsSeen({})
    first.add("1", "a", 3)
    kept = first.to_json()
    later = LabelsSeen(kept)
    later.add("1", "a", 100_000)
    assert later.to_json()["1"]["a"]["0"] is kept["1"]["a"]["0"]
    assert kept["1"]["a"].keys() == {"0"}


def test_a_day_of_labels_is_small_and_quickly_gone_on_from() -> None:
    chance, seen = random.Random(2), LabelsSeen({})
    for number in range(1200 * 60 * 24):
        if chance.random() < 0.1:
            seen.add("1", "a", number)
    text = json.dumps(seen.to_json())
    assert len(text) < 250_000
    times = []
    for again in range(5):
        begun = time.process_time()
        later = LabelsSeen(json.loads(text))
        for number in range(1_728_000, 1_728_120):
            later.add("1", "a", number + again)
        json.dumps(later.to_json())
        times.append(time.process_time() - begun)
    assert min(times) < 0.005
