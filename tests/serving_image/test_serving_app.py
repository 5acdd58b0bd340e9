"""The serving application, asked as its server asks it: answers, receipts, bad rows, health, and what is reported."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from serving_image.account import Account, Interval
from serving_image.app import App, Routes
from serving_image.decoding import MAX_BODY_BYTES, MAX_ROWS
from serving_image.model import Model, Signature
from serving_image.reporter import Identity, report
from shared.ids import ModelName, RunId
from shared.receipts import read
from tests.world.cloud import MemoryCloud
from training_image.rows import Upload
from training_image.training import Plan, train

KEY = bytes(range(32))
IDENTITY = Identity(ModelName("toys"), RunId("toys-000001"), "serin-toys", "3", "abcd", 60.0)
COLOURS = ("red", "blue", "")


def rows() -> list[dict[str, Any]]:
    chance = np.random.default_rng(0)
    return [
        {"size": round(float(chance.normal(label, 0.4)), 3), "colour": COLOURS[row % 3], "kind": f"k{label}"}
        for row in range(90)
        for label in [row % 2]
    ]


@pytest.fixture(scope="module")
def trained() -> Any:
    text = "size,colour,kind\n" + "".join(f"{row['size']},{row['colour']},{row['kind']}\n" for row in rows())
    return train(Plan("toys", "toys-000001", "kind"), [], [Upload("toys.csv", text.encode())])


@pytest.fixture
def account() -> Account:
    return Account(7)


@pytest.fixture
def app(trained: Any, account: Account) -> App:
    files = trained.artefacts()
    model = Model(files["model.onnx"], Signature.parse(files["signature.json"]))
    return App(model, IDENTITY, account, Routes("/live", "/answer"), "1", KEY)


def ask(app: App, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    sent: list[dict[str, Any]] = []
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    pieces = [content[: len(content) // 2], content[len(content) // 2 :]]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({"type": "http", "method": method, "path": path, "headers": []}, receive, send))
    return int(sent[0]["status"]), json.loads(b"".join(each.get("body", b"") for each in sent[1:]))


def instances(count: int = 20) -> list[dict[str, Any]]:
    return [{"size": row["size"], "colour": row["colour"]} for row in rows()[:count]]


def test_predictions_are_those_of_training(app: App, trained: Any) -> None:
    golden = trained.golden
    status, answer = ask(app, "POST", "/answer", {"instances": golden["rows"], "parameters": {"probabilities": True}})
    assert status == 200
    assert [each["label"] for each in answer["predictions"]] == golden["labels"]
    told = np.array([each["probabilities"] for each in answer["predictions"]])
    assert np.abs(told - np.array(golden["probabilities"])).max() < 1e-5


def test_rows_may_come_by_name_or_by_place(app: App) -> None:
    named = ask(app, "POST", "/answer", {"instances": instances()})[1]["predictions"]
    placed = ask(app, "POST", "/answer", {"instances": [[row["size"], row["colour"]] for row in instances()]})[1]
    assert [each["label"] for each in placed["predictions"]] == [each["label"] for each in named]


def test_each_prediction_has_a_receipt_of_its_own(app: App) -> None:
    predictions = ask(app, "POST", "/answer", {"instances": instances(3)})[1]["predictions"]
    again = ask(app, "POST", "/answer", {"instances": instances(1)})[1]["predictions"]
    receipts = [read({"1": KEY}, each["receipt"]) for each in [*predictions, *again]]
    assert [receipt.sequence for receipt in receipts] == [0, 1, 2, 3]
    assert {(receipt.model, receipt.run, receipt.deployed_model, receipt.reporter) for receipt in receipts} == {
        ("toys", "toys-000001", "3", "abcd")
    }
    assert [receipt.label for receipt in receipts[:3]] == [each["label"] for each in predictions]


def test_every_bad_row_is_named_with_its_reasons(app: App, account: Account) -> None:
    asked = [*instances(1), {"size": "big", "colour": "red"}, {"colour": "red", "weight": 3}, 7]
    status, answer = ask(app, "POST", "/answer", {"instances": asked})
    assert status == 400
    assert [bad["row"] for bad in answer["rows"]] == [1, 2, 3]
    assert "size: not a number" in " ".join(answer["rows"][0]["reasons"])
    assert account.turn(8).client_errors == 1


HUGE = b"1" + b"0" * 400
"""An integer that JSON allows and no floating-point number holds."""


@pytest.mark.parametrize("cell", [HUGE, b"-" + HUGE, b"1e39", b"-3.5e38", b"NaN", b"Infinity", b"true", b'"7"', b"[7]"])
def test_a_cell_that_the_model_cannot_hold_is_the_clients_mistake(app: App, account: Account, cell: bytes) -> None:
    status, answer = ask(app, "POST", "/answer", b'{"instances": [[0.5, "red"], [' + cell + b', "red"]]}')
    assert (status, answer["rows"]) == (400, [{"row": 1, "reasons": ["size: not a number"]}])
    ended = account.turn(8)
    assert (ended.requests, ended.errors, ended.client_errors) == (0, 0, 1)


@pytest.mark.parametrize("cell", [b"null", b'""', b"-0", b"3.4e38", b"1e-320"])
def test_a_cell_that_is_missing_or_extreme_is_answered(app: App, cell: bytes) -> None:
    status, answer = ask(app, "POST", "/answer", b'{"instances": [[' + cell + b', "red"]]}')
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
def test_a_score_is_of_exactly_one_row(app: App, account: Account, body: bytes) -> None:
    assert ask(app, "POST", "/score", body)[0] == 400
    assert account.turn(8).client_errors == 1
    assert account.sequences(1) == 0


def test_too_many_rows_are_refused_and_as_many_as_are_allowed_answered(app: App) -> None:
    row = [0.5, "red"]
    assert ask(app, "POST", "/answer", {"instances": [row] * (MAX_ROWS + 1)})[0] == 400
    status, answer = ask(app, "POST", "/answer", {"instances": [row] * MAX_ROWS})
    assert (status, len(answer["predictions"])) == (200, MAX_ROWS)


def test_what_is_larger_than_vertex_ai_passes_on_is_refused(app: App) -> None:
    body = b'{"instances": [[0.5, "red"]]}'
    assert ask(app, "POST", "/answer", body + b" " * (MAX_BODY_BYTES - len(body)))[0] == 200
    assert ask(app, "POST", "/answer", body + b" " * (MAX_BODY_BYTES + 1 - len(body)))[0] == 400


def test_probabilities_are_told_only_when_asked_for(app: App) -> None:
    unasked: tuple[Any, ...] = ({}, {"probabilities": False}, [], 5, None)
    for parameters in unasked:
        asked = {"instances": [[0.5, "red"]], "parameters": parameters}
        assert "probabilities" not in ask(app, "POST", "/answer", asked)[1]["predictions"][0]


class BrokenModel(Model):
    """A model whose graph fails."""

    def probabilities(self, rows: Any) -> list[list[float]]:
        raise RuntimeError(f"a secret cell: {rows}")


def test_our_own_mistake_is_counted_as_ours_and_tells_nothing_of_the_inside(trained: Any, account: Account) -> None:
    files = trained.artefacts()
    broken = BrokenModel(files["model.onnx"], Signature.parse(files["signature.json"]))
    app = App(broken, IDENTITY, account, Routes("/live", "/answer"), "1", KEY)
    status, answer = ask(app, "POST", "/answer", {"instances": instances(3)})
    assert (status, answer) == (500, {"error": "internal error: RuntimeError"})
    ended = account.turn(8)
    assert (ended.requests, ended.errors, ended.client_errors, ended.rows, ended.latency) == (1, 1, 0, 0, {})


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_wrong_method_is_no_request_for_a_prediction(app: App, account: Account, method: str) -> None:
    assert ask(app, method, "/answer", {"instances": instances(1)})[0] == 404
    assert account.turn(8) == Interval(7)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"[" * 200_000, b'{"instances": 3}', b'{"instances": []}', b'{"rows": [[1]]}', b"\xff"]
)
def test_what_is_no_request_is_refused(app: App, account: Account, body: bytes) -> None:
    status, answer = ask(app, "POST", "/answer", body)
    assert (status, bool(answer["error"])) == (400, True)
    ended = account.turn(8)
    assert (ended.requests, ended.errors, ended.client_errors) == (0, 0, 1)


def test_one_row_is_scored_by_its_names(app: App) -> None:
    status, answer = ask(app, "POST", "/score", instances(1)[0])
    assert status == 200
    assert answer["label"] == ask(app, "POST", "/answer", {"instances": instances(1)})[1]["predictions"][0]["label"]


def test_it_says_that_it_is_healthy_on_both_routes(app: App) -> None:
    for path in ("/live", "/health"):
        status, answer = ask(app, "GET", path, {})
        assert (status, answer["status"], answer["run"]) == (200, "ok", "toys-000001")
    assert ask(app, "GET", "/elsewhere", {})[0] == 404


def test_an_interval_is_reported_once_with_what_was_seen(app: App, account: Account) -> None:
    for _ in range(3):
        ask(app, "POST", "/answer", {"instances": instances(5)})
    ask(app, "POST", "/answer", b"{")
    told = report(IDENTITY, account.turn(8), MemoryCloud())
    event = told.payload
    assert told.id == "serin-toys/3/abcd/7"
    assert (event.requests, event.rows, event.errors, event.client_errors) == (3, 15, 0, 1)  # type: ignore[attr-defined]
    assert sum(event.latency.values()) == 3  # type: ignore[attr-defined]


def test_silence_is_reported_too(account: Account) -> None:
    account.turn(8)
    event = report(IDENTITY, account.turn(9), MemoryCloud()).payload
    assert (event.interval, event.requests, event.latency) == (8, 0, {})  # type: ignore[attr-defined]
