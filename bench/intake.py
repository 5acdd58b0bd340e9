"""How fast an upload is counted and checked over HTTP, and in how much memory, beside libraries on a local copy.

The function runs as it is deployed: in its own process under functions-framework, reading from the storage service.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.coldstart import push, services
from bench.intake_files import HEADER, rows, write_csv
from bench.intake_peers import CITIES, COLUMNS, HIGHEST, LOWEST, NUMBERS, PEERS
from bench.report import Row, at_least, at_most, middle
from bench.situations import Situation
from local.processes import free_port, wait_for_port, without_credentials
from shared.envelope import Message
from shared.environment import GoogleCloud, read_environment
from shared.foreign import DATA_UPLOADED
from shared.ids import ModelName, upload_id
from shared.ledger import upload_key
from shared.settings import object_name
from shared.store import Entry
from shared.windows import waiting_uploads

ROUNDS = int(os.environ.get("SERIN_BENCH_ROUNDS", "3"))
BYTES = int(os.environ.get("SERIN_BENCH_BYTES", str(10**9)))
SMALL_FILES = 1_000
_ROWS_EACH = 3
_READY_SECONDS = 60.0
_ROOT = Path(__file__).parents[1]
_SETTINGS = f"""
[data]
target = "label"
columns.id.required = true
columns.a = {{ required = true, minimum = {LOWEST}, maximum = {HIGHEST} }}
columns.city.allowed = {json.dumps(CITIES)}
[threshold]
at_least = 1_000_000_000
""".encode()
_SCHEMA = {name: "number" if name in NUMBERS else "text" for name in COLUMNS}


def measured() -> list[Row]:
    """A big CSV beside its peers, Parquet of two sizes, and a thousand small files at once."""
    with tempfile.TemporaryDirectory(prefix="serin-bench-") as folder, _intake(Path(folder)) as intake:
        return [*_big_csv(intake, Path(folder)), *_parquet(intake, Path(folder)), *_small_files(intake)]


@dataclass
class _Intake:
    """The function, running, and the cloud it reads from."""

    cloud: GoogleCloud
    port: int
    process: "subprocess.Popen[bytes]"

    def model(self, name: str) -> ModelName:
        """A model with settings and a schema, so that a file is checked and nothing inferred."""
        model = ModelName(name)
        self.cloud.data.create(object_name(model), _SETTINGS)
        Situation(self.cloud, model).schema(_SCHEMA)
        return model

    def upload(self, name: str, path: Path) -> Entry:
        blob = self._bucket().blob(name)
        blob.upload_from_filename(str(path), timeout=600)
        return self._entry(name)

    def copy(self, source: str, name: str) -> Entry:
        bucket = self._bucket()
        bucket.copy_blob(bucket.blob(source), bucket, name)
        return self._entry(name)

    def check(self, entry: Entry) -> float:
        """Seconds until the function has answered the announcement of an object."""
        attributes = {
            "eventType": "OBJECT_FINALIZE",
            "bucketId": self.cloud.data.bucket,
            "objectId": entry.key,
            "objectGeneration": str(entry.generation),
        }
        begun = time.perf_counter()
        status = push(self.port, DATA_UPLOADED, Message(attributes, b"{}"))
        if status != 200:
            raise RuntimeError(f"check_rows answered {status}")
        return time.perf_counter() - begun

    def verdict(self, model: ModelName, entry: Entry) -> Mapping[str, Any]:
        key = upload_key(model, upload_id(self.cloud.data.bucket, entry.key, entry.generation))
        return Situation(self.cloud, model).ledger.require(key).data

    def memory(self, field: str) -> float:
        """VmRSS or VmHWM of the process that handles events, in MiB."""
        return max(_memory(pid, field) for pid in _family(self.process.pid))

    def _bucket(self) -> Any:
        from google.cloud import storage

        return storage.Client(project=self.cloud.environment.project).bucket(self.cloud.data.bucket)

    def _entry(self, name: str) -> Entry:
        entry = self.cloud.data.stat(name)
        assert entry is not None
        return entry


def _big_csv(intake: _Intake, folder: Path) -> list[Row]:
    path = folder / "big.csv"
    count = write_csv(path, BYTES)
    first = intake.upload("data/warm/big.csv", path)
    idle = intake.memory("VmRSS")
    taken: dict[str, list[float]] = {name: [] for name in ("serin", *PEERS)}
    memory: dict[str, list[float]] = {name: [] for name in PEERS}
    for number in range(ROUNDS):
        model = intake.model(f"big-{number}")
        entry = intake.copy(first.key, f"data/{model}/big.csv")
        taken["serin"].append(intake.check(entry))
        verdict = intake.verdict(model, entry)
        if (verdict["verdict"], verdict["rows"]) != ("accepted", count):
            raise RuntimeError(f"{count} rows came out as {verdict['verdict']}: {verdict['reasons']}")
        for name in PEERS:
            told = _peer(name, path)
            if told["rows"] != count:
                raise RuntimeError(f"{name} counts {told['rows']} of {count} rows")
            taken[name].append(told["seconds"])
            memory[name].append(told["peak_mib"])
    path.unlink()
    peak, times = intake.memory("VmHWM"), {name: middle(seconds) for name, seconds in taken.items()}
    best = min(PEERS, key=times.__getitem__)
    size = f"{BYTES / 1e9:.3g} GB CSV"
    return [
        *(Row(f"{size}: {name}", times[name], "s") for name in times),
        *(Row(f"{size}: peak memory of {name}", middle(memory[name]), "MiB") for name in PEERS),
        Row(f"{size}: peak memory of the function", peak, "MiB"),
        at_least(
            f"{size}: speed over HTTP by that of {best} on a local copy", times[best] / times["serin"], "ratio", 0.7
        ),
        at_most(f"{size}: peak memory by {best}'s", peak / middle(memory[best]), "ratio", 0.5),
        at_most(f"{size}: memory above the idle function", peak - idle, "MiB", 192),
    ]


def _parquet(intake: _Intake, folder: Path) -> list[Row]:
    """Two sizes of the same columns: what is counted by its footer takes the same time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, taken = intake.model("parquet"), {}
    for count in (10_000, 3_000_000):
        path = folder / "rows.parquet"
        table = {name: pa.array(range(count), pa.int64()) for name in NUMBERS}
        table["a"] = pa.array([each % 100 for each in range(count)], pa.int64())
        table |= {name: pa.array(["Rome"]).take(pa.array([0] * count, pa.int32())) for name in ("city", "note")}
        pq.write_table(pa.table({name: table[name] for name in COLUMNS if name != "city"}), path)
        Situation(intake.cloud, model)
        entry = intake.upload(f"data/{model}/{count}.parquet", path)
        intake.check(entry)
        taken[count] = intake.check(entry)
    small, big = taken.values()
    return [Row("Parquet", small, "s"), Row("Parquet", big, "s")]


def _small_files(intake: _Intake) -> list[Row]:
    """Dropped at once, told by as many threads as Pub/Sub would push at once."""
    model = intake.model("small")
    entries = []
    for number in range(SMALL_FILES):
        body = (HEADER + "".join(rows(_ROWS_EACH, number * _ROWS_EACH))).encode()
        entry = intake.cloud.data.create(f"data/{model}/{number:04d}.csv", body)
        assert entry is not None
        entries.append(entry)
    with ThreadPoolExecutor(4) as pool:
        begun = time.perf_counter()
        seconds = list(pool.map(intake.check, entries))
        total = time.perf_counter() - begun
    counted = sum(upload.rows for upload in waiting_uploads(Situation(intake.cloud, model).ledger, model, 1))
    tenth = SMALL_FILES // 10
    growth = middle(seconds[-tenth:]) / middle(seconds[tenth : 2 * tenth])
    return [
        at_least(f"{SMALL_FILES} small files at once: rows counted", counted, "rows", SMALL_FILES * _ROWS_EACH),
        Row(f"{SMALL_FILES} small files at once: each", 1000 * total / SMALL_FILES, "ms"),
        at_most(f"{SMALL_FILES} small files at once: time of the last by that of the first", growth, "ratio", 1.5),
    ]


def _peer(name: str, path: Path) -> Mapping[str, Any]:
    command = [sys.executable, "-m", "bench.intake_peers", name, str(path)]
    told: Mapping[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, cwd=_ROOT).stdout)
    return told


@contextmanager
def _intake(folder: Path) -> Iterator[_Intake]:
    with services(folder / "home", ("pubsub", "storage")) as known:
        port = free_port()
        source = _ROOT / "functions" / "check_rows" / "main.py"
        command = [sys.executable, "-m", "functions_framework", "--source", str(source), "--target", "check_rows"]
        with subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**without_credentials(os.environ), **known},
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                if not wait_for_port(port, process, _READY_SECONDS):
                    raise RuntimeError("check_rows did not start")
                intake = _Intake(GoogleCloud(read_environment(known)), port, process)
                model = intake.model("warm")
                body = (HEADER + "".join(rows(10))).encode()
                entry = intake.cloud.data.create(f"data/{model}/first.csv", body)
                assert entry is not None
                intake.check(entry)
                yield intake
            finally:
                process.terminate()


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in _family(int(child)))]


def _memory(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(found) / 1024
