"""What is reported of an interval: requests, latencies, and where cells and answers fall on the baseline's bins."""

import json
import random

from serving_image.reports import report
from shared.distributions import Baseline, Distributions, distributions_of
from shared.evidence import counts_of
from tests.serving_image.toys import BASELINE, Container, artefacts, instances
from tests.world.cloud import MemoryCloud


def test_an_interval_is_reported_with_what_was_seen() -> None:
    container = Container()
    for _ in range(3):
        container.predict(instances(5))
    container.ask("POST", "/answer", b"{")
    counted = container.interval()
    told = report(container.configuration.identity, counted, MemoryCloud())  # type: ignore[arg-type]
    event = told.payload
    assert told.id == f"serin-toys/3/{container.configuration.identity.reporter}/{counted.number}"  # type: ignore[union-attr]
    counts = counts_of(event)  # type: ignore[arg-type]
    assert (counts.requests, counts.rows, counts.errors, counts.client_errors, counts.answers) == (3, 15, 0, 1, 3)
    assert distributions_of(event) == counted.distributions  # type: ignore[arg-type]


def test_cells_and_answers_are_counted_on_the_baselines_bins() -> None:
    container = Container()
    told = container.predict([[-1, "red"], [0, "blue"], [None, "green"], [1.5, None], [9e9, ""], {"bad": "row"}])
    sizes = (1, 1, 0, 2, 1)
    labels = [each.get("label") for each in told]
    best = [each["probability"] for each in told[:-1]]
    counted = container.interval().distributions
    assert counted.baseline == Baseline.parse(BASELINE).id
    assert counted.features == {"size": sizes, "colour": (1, 1, 1, 2)}
    assert counted.predictions == {
        "label": (labels.count("k0"), labels.count("k1"), 0, 0),
        "probability": (0, sum(each < 0.9 for each in best), sum(each >= 0.9 for each in best), 0),
        "anomaly_score": (1, 1, 2, 1),
    }


def test_what_is_counted_in_batches_and_intervals_adds_up_to_what_is_counted_at_once() -> None:
    chance = random.Random(1)
    asked = [[chance.gauss(0.5, 1), chance.choice(["red", "blue", "green", ""])] for _ in range(1_500)]
    at_once = Container()
    at_once.predict(asked)
    bit_by_bit, total, start = Container(), Distributions(), 0
    while start < len(asked):
        size = chance.choice([1, 2, 7, 300])
        bit_by_bit.predict(asked[start : start + size])
        start += size
        if chance.random() < 0.2:
            total += bit_by_bit.interval().distributions
    total += bit_by_bit.interval().distributions
    assert total == at_once.interval().distributions
    assert sum(total.features["size"]) == 1_500


def test_an_interval_in_which_nobody_asked_has_no_distributions() -> None:
    assert Container().interval().distributions == Distributions()


def test_without_a_baseline_requests_are_still_counted() -> None:
    container = Container(artefacts(baseline=None))
    container.predict(instances())
    counted = container.interval()
    assert (counted.rows, counted.distributions) == (20, Distributions())


def test_a_baseline_of_other_columns_is_counted_as_far_as_it_fits() -> None:
    kept = json.loads(BASELINE)
    kept["features"]["gone"] = kept["features"]["size"]
    kept["features"]["colour"] = kept["features"]["size"]
    kept["predictions"]["rank"] = kept["predictions"]["label"]
    container = Container(artefacts(baseline=json.dumps(kept).encode(), anomaly=None))
    container.predict(instances())
    counted = container.interval().distributions
    assert (sorted(counted.features), sorted(counted.predictions)) == (["size"], ["label", "probability"])
