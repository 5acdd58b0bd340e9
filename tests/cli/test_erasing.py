"""Rows are erased for good: no generation is left, later trainings go without them, and it says what is left."""

import json
from pathlib import Path

import pytest

from shared.environment import Cloud
from shared.ids import ModelName, run_id, upload_id
from shared.ledger import Author, Ledger, Outcome, run_key, upload_key, window_key
from shared.windows import Upload, carry
from tests.cli.test_cli import serin

pytestmark = pytest.mark.filterwarnings("default")  # Google's clients warn when their threads end with the process
MODEL = ModelName("patients")
NAME = "data/patients/a.csv"
ROWS = b"a,y\nMaria,1\n"


def book(cloud: Cloud) -> Ledger:
    return Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))


def test_every_generation_goes_and_what_was_made_of_it_is_named(home: Path, cloud: Cloud) -> None:
    from google.cloud import storage

    bucket = storage.Client(project=cloud.environment.project).bucket(cloud.data.bucket)
    bucket.versioning_enabled = True
    bucket.patch()
    generations = []
    for _ in range(2):
        blob = bucket.blob(NAME)
        blob.upload_from_string(ROWS)
        generations.append(int(blob.generation))
    first = upload_id(cloud.data.bucket, NAME, generations[0])
    upload = Upload(first, cloud.data.bucket, NAME, generations[0], "0" * 64, 1)
    carry(book(cloud), MODEL, upload, 1)
    book(cloud).record(upload_key(MODEL, first), Outcome({"verdict": "accepted", "name": NAME}))
    assert "waits to be trained on" in refused(home)
    data = {"run": run_id(MODEL, 1), "uploads": [upload.to_json()], "earlier": []}
    book(cloud).record(window_key(MODEL, 1), Outcome(data))
    assert "under way" in refused(home)
    assert cloud.data.read(NAME, generations[0]) == ROWS
    book(cloud).record(run_key(run_id(MODEL, 1), "end"), Outcome({"outcome": "rejected"}))
    tests = ModelName(f"test-of-{MODEL}")
    for number in (1, 2):  # two may go on side by side
        again = {**data, "run": run_id(tests, number), "test_of": run_id(MODEL, 1)}
        book(cloud).record(window_key(tests, number), Outcome(again))
    book(cloud).record(run_key(run_id(tests, 2), "end"), Outcome({"outcome": "tested"}))
    assert "test-of-patients-000001 is under way" in refused(home)
    assert cloud.data.read(NAME, generations[0]) == ROWS
    book(cloud).record(run_key(run_id(tests, 1), "end"), Outcome({"outcome": "tested"}))
    told = json.loads(serin(home, "erase", NAME, "--because", "she asked", "--by", "ada", "--json"))
    assert [(each["generation"], each["runs"]) for each in told] == [
        (generations[0], ["patients-000001", "test-of-patients-000001", "test-of-patients-000002"]),
        (generations[1], []),
    ]  # fmt: skip
    assert [cloud.data.read(NAME, generation) for generation in (None, *generations)] == [None] * 3
    assert list(bucket.list_blobs(prefix=NAME, versions=True)) == []
    record = book(cloud).require(f"erasures/{MODEL}/{first}")
    assert (record.data["by"], record.data["because"]) == ("ada", "she asked")
    assert "there is no data/patients/a.csv" in refused(home)


def refused(home: Path, *words: str) -> str:
    import subprocess
    import sys

    command = [sys.executable, "-m", "cli.main", "erase", NAME, "--because", "she asked", "--home", str(home), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 1
    return ended.stderr
