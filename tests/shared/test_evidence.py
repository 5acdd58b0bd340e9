import math
from typing import Any

import pytest

from shared.errors import BadInput
from shared.events import EvidenceReported
from shared.evidence import (
    EDGES_SECONDS,
    Counts,
    above,
    bucket,
    counts_of,
    limit_seconds,
    merged,
    quantile,
    rounded_up,
    total,
)
from shared.ids import ModelName, RunId


def histogram(*seconds: float) -> dict[str, int]:
    counted: dict[str, int] = {}
    for each in seconds:
        counted = merged(counted, {str(bucket(each)): 1})
    return counted


def report(**changes: Any) -> EvidenceReported:
    said: dict[str, Any] = {
        "model": ModelName("digits"),
        "run": RunId("digits-000001"),
        "endpoint": "serin-digits",
        "deployed_model": "1",
        "reporter": "a1b2c3d4",
        "interval": 7,
        "report_seconds": 60.0,
    }
    return EvidenceReported(**{**said, **changes})


def test_the_edges_are_those_that_every_version_uses() -> None:
    assert len(EDGES_SECONDS) == 65
    assert EDGES_SECONDS[:2] == (0.001, 0.001 * 2**0.25)
    assert EDGES_SECONDS[-2] < 60.0 <= EDGES_SECONDS[-1]


@pytest.mark.parametrize("index", range(65))
def test_an_edge_belongs_to_the_bucket_that_it_ends(index: int) -> None:
    assert bucket(EDGES_SECONDS[index]) == index
    assert bucket(math.nextafter(EDGES_SECONDS[index], math.inf)) == index + 1


def test_a_latency_of_nothing_and_one_of_hours_have_buckets_too() -> None:
    assert (bucket(0.0), bucket(7200.0)) == (0, 65)


def test_a_limit_is_rounded_up_to_an_edge_and_what_is_within_it_is_not_above() -> None:
    first = rounded_up(0.1)
    assert EDGES_SECONDS[first - 2] < 0.1 <= EDGES_SECONDS[first - 1]
    assert limit_seconds(first) == EDGES_SECONDS[first - 1]
    assert above(histogram(0.01, 0.1, limit_seconds(first)), first) == 0
    assert above(histogram(0.01, limit_seconds(first) * 1.001, 3.0), first) == 2


def test_nothing_is_above_a_limit_beyond_the_last_edge() -> None:
    assert above(histogram(100.0), rounded_up(100.0)) == 0
    assert limit_seconds(rounded_up(100.0)) == EDGES_SECONDS[-1]


def test_a_quantile_is_right_within_the_width_of_a_bucket() -> None:
    seconds = [0.01 * 1.01**step for step in range(400)]
    counted = histogram(*seconds)
    for share in (0.1, 0.5, 0.9, 0.99):
        true = sorted(seconds)[math.ceil(share * 400) - 1]
        assert quantile(counted, share) == pytest.approx(true, rel=0.03)


def test_no_answers_have_no_quantile() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({"3": 0}, 0.5) is None


def test_counts_add_up_in_any_order() -> None:
    first = Counts(requests=3, errors=1, latency={"4": 2}, reports=1, late=5)
    second = Counts(requests=2, client_errors=1, rows=40, latency={"4": 1, "9": 1}, labelled=7, wrong=2, reports=1)
    both = Counts(
        requests=5, errors=1, client_errors=1, rows=40, latency={"4": 3, "9": 1}, labelled=7, wrong=2, reports=2, late=5
    )
    assert total([first, second]) == total([second, first]) == both
    assert total([]) == Counts()
    assert both.answers == 4


def test_counts_are_the_same_after_a_way_through_json() -> None:
    counts = Counts(requests=3, latency={"4": 2}, labelled=1)
    assert Counts.from_json(counts.to_json()) == counts


def test_a_report_is_counted_as_it_stands() -> None:
    said = report(requests=3, errors=1, client_errors=2, rows=60, latency={"4": 2})
    assert counts_of(said) == Counts(requests=3, errors=1, client_errors=2, rows=60, latency={"4": 2}, reports=1)


def test_labels_that_came_are_no_sign_of_life_of_a_deployment() -> None:
    assert counts_of(report(reporter="outcomes:b1", labelled=9, wrong=1)) == Counts(labelled=9, wrong=1)


def test_a_report_that_cannot_be_is_refused_with_every_reason() -> None:
    with pytest.raises(BadInput) as refused:
        counts_of(report(requests=1, errors=2, latency={"66": 1, "x": 1, "5": -1}, labelled=1, wrong=2))
    assert refused.value.reasons == (
        "latency: no bucket '66'",
        "latency: no bucket 'x'",
        "latency: a count below 0",
        "errors: more than requests",
        "wrong: more than labelled",
    )


def test_more_answers_than_requests_cannot_be() -> None:
    with pytest.raises(BadInput):
        counts_of(report(requests=1, latency={"5": 2}))
