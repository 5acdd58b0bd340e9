"""The container, asked as its connections ask it: answers, receipts, bad rows, health, and what is counted."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serving_image.answering import Answered, Answering, Prediction
from serving_image.service import Loaded
from shared.errors import BadInput
from shared.receipts import read
from shared.served_model import Answers, Model, Signature
from tests.serving_image.toys import KEY, Container, artefacts, instances, regression, trained
from tests.world.replica import Asked

MAX_ROWS = 5_000


@pytest.fixture
def container() -> Container:
    return Container()


def test_predictions_are_those_of_training(container: Container) -> None:
    golden = trained().golden
    predictions = container.predict(golden["rows"], probabilities=True)
    assert [each["label"] for each in predictions] == golden["labels"]
    told = np.array([each["probabilities"] for each in predictions])
    assert np.abs(told - np.array(golden["probabilities"])).max() < 1e-5


def test_rows_may_come_by_name_or_by_place(container: Container) -> None:
    named = container.predict(instances())
    placed = container.predict([[row["size"], row["colour"]] for row in instances()])
    mixed = container.predict([*instances(10), *[[row["size"], row["colour"]] for row in instances()[10:]]])
    assert [each["label"] for each in named] == [each["label"] for each in placed]
    assert [each["probability"] for each in named] == [each["probability"] for each in mixed]


def test_each_prediction_has_a_receipt_of_its_own(container: Container) -> None:
    predictions = [*container.predict(instances(3)), *container.predict(instances(1))]
    receipts = [read({"1": KEY}, each["receipt"]) for each in predictions]
    assert [receipt.sequence for receipt in receipts] == [0, 1, 2, 3]
    assert {(receipt.model, receipt.run, receipt.deployed_model, receipt.reporter) for receipt in receipts} == {
        ("toys", "toys-000001", "3", container.configuration.identity.reporter)  # type: ignore[union-attr]
    }
    assert [receipt.label for receipt in receipts] == [each["label"] for each in predictions]


BAD: list[Any] = [{"size": "big", "colour": "red"}, {"colour": "red", "weight": 3}, 7, ["1", 2], [1]]
REASONS = [
    ["size: not a number"],
    ["size: missing", "weight: unknown"],
    ["not an object of named cells, nor a list of 2"],
    ["size: not a number", "colour: not a text"],
    ["not an object of named cells, nor a list of 2"],
]


def test_every_bad_row_is_told_with_its_index_and_reasons_and_the_good_ones_are_answered(container: Container) -> None:
    alone = container.predict(instances(2))
    first, *bad, last = container.predict([instances(2)[0], *BAD, instances(2)[1]])
    assert [first["probability"], last["probability"]] == [each["probability"] for each in alone]
    assert bad == [{"error": {"row": row, "reasons": its}} for row, its in enumerate(REASONS, 1)]
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors, counted.rows, counted.bad_rows) == (2, 0, 0, 4, 5)


def test_a_request_without_a_good_row_is_refused_with_every_reason(container: Container) -> None:
    status, answer = container.ask("POST", "/answer", {"instances": BAD})
    assert (status, answer["rows"]) == (400, [{"row": row, "reasons": its} for row, its in enumerate(REASONS)])
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors, counted.bad_rows) == (0, 0, 1, 5)


def test_a_row_of_a_thousand_wrong_columns_is_told_ten_of_them(container: Container) -> None:
    row = {f"column {number} {'x' * 200}": number for number in range(1_000)}
    _, answer = container.ask("POST", "/answer", {"instances": [row]})
    (bad,) = answer["rows"]
    assert bad["reasons"][:2] == ["size: missing", "colour: missing"]
    assert bad["reasons"][10:] == ["and 992 more"]
    assert max(map(len, bad["reasons"])) < 100


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"\\ud800", "\\ud800"),
        (b"\\udc00\\ud800", "\\udc00\\ud800"),
        (b"\xed\xa0\x80", "\\ud800"),
        (b"\\ud83d\\ude00", "\U0001f600"),
        (b"\\u0000", "\0"),
    ],
)
def test_a_name_that_no_answer_can_carry_is_told_as_it_was_written(
    container: Container, name: bytes, told: str
) -> None:
    bad, good = b'{"size": 1, "colour": "red", "' + name + b'": 1}', b'[1, "red"]'
    status, answer = container.ask("POST", "/answer", b'{"instances": [' + bad + b"]}")
    assert (status, answer["rows"]) == (400, [{"row": 0, "reasons": [f"{told}: unknown"]}])
    assert container.ask("POST", "/score", bad)[1]["rows"] == answer["rows"]
    status, answer = container.ask("POST", "/answer", b'{"instances": [' + bad + b", " + good + b"]}")
    assert (status, answer["predictions"][0]["error"]) == (200, {"row": 0, "reasons": [f"{told}: unknown"]})
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors, counted.bad_rows) == (1, 0, 2, 3)


HUGE = b"1" + b"0" * 400
"""An integer that JSON allows and no floating-point number holds."""
CELLS = [HUGE, b"-" + HUGE, b"1e39", b"-3.5e38", b"NaN", b"Infinity", b"true", b'"7"', b"[7]"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_that_the_model_cannot_hold_is_the_clients_mistake(container: Container, cell: bytes) -> None:
    status, answer = container.ask("POST", "/answer", b'{"instances": [[' + cell + b', "red"]]}')
    assert (status, answer["rows"]) == (400, [{"row": 0, "reasons": ["size: not a number"]}])
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors) == (0, 0, 1)


@pytest.mark.parametrize("cell", [b'"\\ud800"', b"5", b"[]", b"false"])
def test_a_cell_that_is_no_text_is_the_clients_mistake(container: Container, cell: bytes) -> None:
    status, answer = container.ask("POST", "/answer", b'{"instances": [[1, ' + cell + b"]]}")
    assert (status, answer["rows"]) == (400, [{"row": 0, "reasons": ["colour: not a text"]}])


@pytest.mark.parametrize("cell", [b"null", b'""', b"-0", b"3.4e38", b"1e-320"])
def test_a_cell_that_is_missing_or_extreme_is_answered(container: Container, cell: bytes) -> None:
    status, answer = container.ask("POST", "/answer", b'{"instances": [[' + cell + b', "red"]]}')
    assert status == 200
    assert 0.0 <= answer["predictions"][0]["probability"] <= 1.0


@pytest.mark.parametrize(
    "body",
    [
        b'{"size": 1, "colour": "red"}, {"size": 2, "colour": "red"}',
        b"1]",
        b'{"size": 1, "colour": "red"}], "x": [2',
        b'[1, "red"]',
    ],
)
def test_a_score_is_of_exactly_one_row(container: Container, body: bytes) -> None:
    assert container.ask("POST", "/score", body)[0] == 400
    assert container.interval().client_errors == 1
    assert read({"1": KEY}, container.predict(instances(1))[0]["receipt"]).sequence == 0


def test_a_score_tells_everything_about_its_row(container: Container) -> None:
    (prediction,) = container.predict(instances(1))
    status, answer = container.ask("POST", "/score", instances(1)[0])
    assert status == 200
    assert sorted(answer) == ["anomalous", "anomaly_score", "label", "model_version", "probability", "receipt"]
    assert (answer["label"], answer["probability"]) == (prediction["label"], prediction["probability"])
    assert answer["anomaly_score"] == pytest.approx(instances(1)[0]["size"])
    assert answer["model_version"] == "toys-000001"
    assert read({"1": KEY}, answer["receipt"]).label == answer["label"]


@pytest.mark.parametrize(("size", "anomalous"), [(0.5, False), (0.75, True), (-9.0, False)])
def test_a_row_that_scores_above_the_threshold_is_told_to_be_anomalous(size: float, anomalous: bool) -> None:
    container = Container()
    assert container.predict([[size, "red"]])[0]["anomalous"] is anomalous
    assert container.ask("POST", "/score", {"size": size, "colour": "red"})[1]["anomalous"] is anomalous


def test_a_regression_is_answered_with_values_and_nobody_pretends_that_they_can_be_right_or_wrong() -> None:
    container = Container(artefacts(**regression()))
    told = container.predict([[0.5, "red"], [-2, "blue"]])
    assert told == [
        {"value": 0.5, "anomaly_score": 0.5, "anomalous": False},
        {"value": -2.0, "anomaly_score": -2.0, "anomalous": False},
    ]
    score = container.ask("POST", "/score", {"size": 0.5, "colour": "red"})[1]
    assert (score["value"], score["label"], score["probability"], score["receipt"]) == (0.5, None, None, None)
    assert container.ask("POST", "/answer", {"instances": [[None, "red"]]})[0] == 500
    counted = container.interval().distributions
    assert counted.predictions == {"value": (1, 0, 2, 1)}


def test_without_an_anomaly_model_a_score_says_that_there_is_none() -> None:
    container = Container(artefacts(anomaly=None))
    assert container.ask("POST", "/score", instances(1)[0])[1]["anomaly_score"] is None
    assert "anomaly_score" not in container.predict(instances(1))[0]
    health = container.ask("GET", "/health")[1]
    assert (health["supervised_loaded"], health["unsupervised_loaded"]) == (True, False)


def test_too_many_rows_are_refused_and_as_many_as_are_allowed_answered(container: Container) -> None:
    row = [0.5, "red"]
    assert container.ask("POST", "/answer", {"instances": [row] * (MAX_ROWS + 1)})[0] == 400
    assert len(container.predict([row] * MAX_ROWS)) == MAX_ROWS


def test_probabilities_are_told_only_when_asked_for(container: Container) -> None:
    unasked: tuple[Any, ...] = ({}, {"probabilities": False}, [], 5, None)
    for parameters in unasked:
        asked = {"instances": [[0.5, "red"]], "parameters": parameters}
        assert "probabilities" not in container.ask("POST", "/answer", asked)[1]["predictions"][0]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/answer"), ("PUT", "/answer"), ("POST", "/health"), ("GET", "/"), ("POST", "/x")]
)
def test_what_nobody_answers_is_not_counted(container: Container, method: str, path: str) -> None:
    assert container.ask(method, path, {"instances": instances(1)})[0] == 404
    counted = container.interval()
    assert (counted.requests, counted.client_errors) == (0, 0)


BODIES = [b"", b"{", b"[]", b"[" * 200_000, b'{"instances": 3}', b'{"instances": []}', b'{"rows": [[1]]}', b"\xff"]


@pytest.mark.parametrize("body", [*BODIES, b'{"instances": [[1, "red"]], "parameters": ' + b"[" * 100_000])
@pytest.mark.parametrize("path", ["/answer", "/score"])
def test_what_is_no_request_is_refused(container: Container, path: str, body: bytes) -> None:
    status, answer = container.ask("POST", path, body)
    assert (status, bool(answer["error"])) == (400, True)
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors) == (0, 0, 1)


def test_more_requests_than_may_wait_are_told_so_at_once() -> None:
    container = Container(SERIN_MAX_REQUESTS="2")
    body = json.dumps({"instances": instances(1)}).encode()
    answers = container.asked.together([("POST", "/answer", body)] * 3)
    assert [status for status, _ in answers] == [200, 200, 503]
    counted = container.interval()
    assert (counted.requests, counted.errors) == (3, 1)
    assert container.ask("POST", "/answer", body)[0] == 200


class Broken(Answering):
    """Fails when a row of this size is among those asked about."""

    def answered(self, rows: Any, wants_probabilities: bool) -> Answered:
        if any(row[0] == 666.0 for row in rows):
            raise RuntimeError("a secret cell")
        return super().answered(rows, wants_probabilities)


def broken(loaded: Loaded) -> Loaded:
    return replace(loaded, answering=Broken(loaded.answering.model, "1"))


def test_our_own_mistake_is_counted_as_ours_and_tells_nothing_of_the_inside() -> None:
    container = Container(change=broken)
    status, answer = container.ask("POST", "/answer", {"instances": [[666.0, "red"]]})
    assert (status, answer) == (500, {"error": "internal error: RuntimeError"})
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors, counted.rows, sum(counted.latency)) == (
        1, 1, 0, 0, 0,
    )  # fmt: skip


class Unsure(Model):
    """Answers what is no number for a large size."""

    def answers(self, rows: Any) -> Answers:
        answers = super().answers(rows)
        answers.outputs[answers.numbers[:, 0] > 100] = np.nan
        return answers


def unsure(loaded: Loaded) -> Loaded:
    fetched = artefacts()
    return replace(loaded, answering=Answering(Unsure(fetched.graph, Signature.parse(fetched.signature)), "1"))


def test_an_answer_that_is_no_number_is_none() -> None:
    container = Container(change=unsure)
    assert container.ask("POST", "/answer", {"instances": [[1, "red"], [101, "red"]]})[0] == 500
    assert container.ask("POST", "/answer", {"instances": [[1, "red"]]})[0] == 200


@pytest.mark.parametrize("change", [broken, unsure])
def test_callers_of_one_batch_get_their_own_answers_whatever_is_wrong_with_the_others(change: Any) -> None:
    container = Container(change=change)
    asked: list[Any] = []
    for row in instances():
        asked += [
            {"instances": [row]}, {"instances": [[666.0, "red"]]}, {"instances": BAD}, {"instances": [*BAD, row]},
            {"instances": [row], "parameters": {"probabilities": True}},
        ]  # fmt: skip
    answers = container.asked.together([("POST", "/answer", json.dumps(each).encode()) for each in asked])
    assert [status for status, _ in answers] == [200, 500, 400, 200, 200] * 20
    told = [json.loads(content).get("predictions", [{}]) for _, content in answers]
    expected = [each["probability"] for each in Container().predict(instances())]
    for place in (0, 3, 4):
        found = [predictions[-1]["probability"] for predictions in told[place::5]]
        assert found == pytest.approx(expected, abs=1e-6)
    assert ["probabilities" in predictions[-1] for predictions in told] == [False, False, False, False, True] * 20
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors) == (80, 20, 20)


class Unspeakable(Answering):
    """Answers one size with a label that cannot be told."""

    def answered(self, rows: Any, wants_probabilities: bool) -> Answered:
        answered = super().answered(rows, wants_probabilities)
        answered.predictions[:] = [
            Prediction("\ud800") if row[0] == 666.0 else each
            for row, each in zip(rows, answered.predictions, strict=True)
        ]
        return answered


@pytest.mark.parametrize(
    ("path", "body"), [("/answer", b'{"instances": [[666, "red"]]}'), ("/score", b'{"size": 666, "colour": "red"}')]
)
def test_an_answer_that_cannot_be_told_is_our_mistake_counted_once_and_nobody_elses(path: str, body: bytes) -> None:
    container = Container(change=lambda loaded: replace(loaded, answering=Unspeakable(loaded.answering.model, "1")))
    good = ("POST", "/answer", b'{"instances": [[1, "red"]]}')
    answers = container.asked.together([good, ("POST", path, body), good, good])
    assert [status for status, _ in answers] == [200, 500, 200, 200]
    assert json.loads(answers[1][1]) == {"error": "internal error: UnicodeEncodeError"}
    assert container.asked.service.waiting == 0
    counted = container.interval()
    assert (counted.requests, counted.errors, counted.client_errors, counted.rows, sum(counted.latency)) == (
        4, 1, 0, 3, 3,
    )  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [("GET", "/live"), ("GET", "/metrics"), ("POST", "/answer")])
def test_whatever_goes_wrong_on_any_route_is_answered_too(method: str, path: str) -> None:
    def unspeakable(loaded: Loaded) -> Loaded:
        return replace(loaded, answering=Answering(loaded.answering.model, "\ud800"), decoder=None)  # type: ignore[arg-type]

    container = Container(change=unspeakable)
    status, answer = container.ask(method, path, b"{}")
    assert (status, answer["error"].split()[:2], container.asked.service.waiting) == (500, ["internal", "error:"], 0)
    assert container.interval().errors == 1


def test_it_says_that_it_is_healthy_on_both_routes(container: Container) -> None:
    for path in ("/live", "/health"):
        assert container.ask("GET", path) == (
            200,
            {
                "status": "ok", "model_version": "toys-000001", "supervised_loaded": True, "unsupervised_loaded": True,
            },
        )  # fmt: skip


def test_it_is_healthy_only_when_it_can_answer(container: Container) -> None:
    asked = Asked(container.configuration)
    status, health = asked.ask("GET", "/live")
    assert (status, json.loads(health)["status"]) == (503, "starting")
    assert asked.ask("POST", "/answer", b"{}")[0] == 503
    assert asked.ask("GET", "/metrics")[0] == 503
    asked.service.open(container.loaded)
    assert asked.ask("GET", "/live")[0] == 200
    asked.service.stop()
    status, health = asked.ask("GET", "/live")
    assert (status, json.loads(health)["status"]) == (503, "stopping")
    assert asked.ask("POST", "/answer", json.dumps({"instances": instances(1)}).encode())[0] == 200


def test_the_version_may_be_told_by_the_environment() -> None:
    assert Container(MODEL_VERSION="v7").ask("GET", "/health")[1]["model_version"] == "v7"


def test_a_label_too_long_for_a_receipt_is_found_before_anybody_is_answered() -> None:
    signature = {**json.loads(artefacts().signature), "labels": ["k0", "k" * 2_000]}
    with pytest.raises(BadInput, match="too long"):
        Container(artefacts(signature=json.dumps(signature).encode()))


@pytest.mark.parametrize("name", ['a "quoted" name', "back\\slash", "tab\there", "ünï", ""])
def test_a_column_may_have_any_name(name: str) -> None:
    signature = json.loads(artefacts().signature)
    signature["features"][0]["name"] = name
    container = Container(artefacts(signature=json.dumps(signature).encode(), baseline=None))
    named = [{name: row["size"], "colour": row["colour"]} for row in instances()]
    assert container.predict(named) and container.ask("POST", "/score", named[0])[0] == 200
    assert container.predict([*named, {}])[-1]["error"]["reasons"] == [f"{name}: missing", "colour: missing"]


def test_what_prometheus_reads_adds_up(container: Container) -> None:
    container.predict([*instances(3), 7])
    container.ask("POST", "/answer", b"{")
    container.loaded.account.turn()
    container.ask("POST", "/score", instances(1)[0])
    _, page = container.asked.ask("GET", "/metrics")
    values = dict(line.rsplit(" ", 1) for line in page.decode().splitlines() if not line.startswith("#"))
    assert values['serin_model_info{version="toys-000001"}'] == "1"
    assert values['serin_requests_total{outcome="answered"}'] == "2"
    assert values['serin_requests_total{outcome="client_error"}'] == "1"
    assert values['serin_rows_total{outcome="answered"}'] == "4"
    assert values['serin_rows_total{outcome="bad"}'] == "1"
    assert values['serin_request_seconds_bucket{le="+Inf"}'] == values["serin_request_seconds_count"] == "2"
