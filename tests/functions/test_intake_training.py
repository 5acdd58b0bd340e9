"""From a dropped file to a trained model: what check_rows counts in any format is what the training image trains on."""

import gzip
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.events import EvaluationCompleted
from tests.world.cloud import MemoryCloud
from tests.world.running import data_of, drop, settle
from training_image.job import read_order, run_job

SETTINGS = b"""
[data]
target = "y"
bad_rows_share = 0.2
[data.columns.size]
required = true
[threshold]
at_least = 100
"""
INTAKE = {"check_rows", "check_settings", "launch_training"}
ROWS = [{"size": each, "colour": "red" if each % 3 else "blue", "y": "big" if each >= 60 else "small"}
        for each in range(120)]  # fmt: skip


def csv_of(rows: list[dict[str, object]]) -> bytes:
    return ("size,colour,y\n" + "".join(f'{row["size"]},"{row["colour"]}",{row["y"]}\n' for row in rows)).encode()


def parquet_of(rows: list[dict[str, object]]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), made)
    return made.getvalue()


FILES = {
    "rows.csv.gz": gzip.compress(csv_of(ROWS)[:500]) + gzip.compress(csv_of(ROWS)[500:]),
    "rows.parquet": parquet_of(ROWS),
    "rows.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
}


@pytest.fixture
def cloud() -> MemoryCloud:
    made = MemoryCloud()
    drop(made, "settings/digits.toml", SETTINGS)
    settle(made, INTAKE.__contains__)
    return made


def trained(cloud: MemoryCloud) -> EvaluationCompleted:
    """What the training job of the first window says."""
    variables = {"SERIN_RUN": "digits-000001", "SERIN_ATTEMPT": "1", "CLOUD_ML_JOB_ID": "77"}
    cloud.bus.take()
    assert run_job(read_order(variables, "artefacts"), cloud) == 0
    (envelope,) = cloud.bus.events()
    assert isinstance(envelope.payload, EvaluationCompleted)
    return envelope.payload


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_any_format_is_counted_and_trained_on(cloud: MemoryCloud, name: str) -> None:
    drop(cloud, f"data/digits/{name}", FILES[name])
    settle(cloud, INTAKE.__contains__)
    assert data_of(cloud, "windows/digits/000001")["rows"] == 120
    evaluation = trained(cloud).evaluation
    assert (evaluation.rows_trained, evaluation.rows_judged) == (120, 120)


def test_files_of_different_formats_are_trained_on_together_without_the_rows_set_aside(cloud: MemoryCloud) -> None:
    bad = [{"size": None, "colour": "red", "y": "big"}, {"size": 1.5, "colour": "red", "y": " "}]
    drop(cloud, "data/digits/a.parquet", parquet_of(ROWS[:40] + bad))
    drop(cloud, "data/digits/b.csv.gz", gzip.compress(csv_of(ROWS[40:80]) + b"one,red,big\n2\n"))
    drop(cloud, "data/digits/c.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS[80:]).encode() + b"not json\n")
    settle(cloud, INTAKE.__contains__)
    window = data_of(cloud, "windows/digits/000001")
    assert (window["rows"], [upload["rows"] for upload in window["uploads"]]) == (120, [40, 40, 40])
    evaluation = trained(cloud).evaluation
    assert (evaluation.rows_trained, evaluation.rows_judged) == (120, 120)
