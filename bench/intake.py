"""How fast an upload is counted and checked over HTTP, and in how much memory, beside libraries on a local copy.

The function runs as it is deployed: in its own process under functions-framework, reading from the storage service.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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

    def model(self, name: str, settings: bytes = _SETTINGS, columns: Sequence[str] = COLUMNS) -> ModelName:
        """A model with settings and a schema, so that a file is checked and nothing inferred."""
        model = ModelName(name)
        self.cloud.data.create(object_name(model), settings)
        Situation(self.cloud, model).schema({each: "number" if each in NUMBERS else "text" for each in columns})
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

    def cpu(self) -> float:
        """Seconds of CPU that the function has taken so far."""
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))

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
    cpu: dict[str, list[float]] = {name: [] for name in taken}
    for number in range(ROUNDS):
        model = intake.model(f"big-{number}")
        entry = intake.copy(first.key, f"data/{model}/big.csv")
        before = intake.cpu()
        taken["serin"].append(intake.check(entry))
        cpu["serin"].append(intake.cpu() - before)
        verdict = intake.verdict(model, entry)
        if (verdict["verdict"], verdict["rows"]) != ("accepted", count):
            raise RuntimeError(f"{count} rows came out as {verdict['verdict']}: {verdict['reasons']}")
        for name in PEERS:
            told = _peer(name, path)
            if told["rows"] != count:
                raise RuntimeError(f"{name} counts {told['rows']} of {count} rows")
            taken[name].append(told["seconds"])
            memory[name].append(told["peak_mib"])
            cpu[name].append(told["cpu_seconds"])
    path.unlink()
    peak, times = intake.memory("VmHWM"), {name: middle(seconds) for name, seconds in taken.items()}
    best = min(PEERS, key=times.__getitem__)
    size = f"{BYTES / 1e9:.3g} GB CSV"
    return [
        *(Row(f"{size}: {name}", times[name], "s") for name in times),
        *(Row(f"{size}: CPU of {name}", middle(cpu[name]), "s") for name in times),
        *(Row(f"{size}: peak memory of {name}", middle(memory[name]), "MiB") for name in PEERS),
        Row(f"{size}: peak memory of the function", peak, "MiB"),
        at_least(f"{size}: speed over HTTP by {best}'s on a local copy", times[best] / times["serin"], "ratio", 0.7),
        at_most(f"{size}: peak memory by {best}'s", peak / middle(memory[best]), "ratio", 0.5),
        at_most(f"{size}: memory above the idle function", peak - idle, "MiB", 192),
    ]


def _parquet(intake: _Intake, folder: Path) -> list[Row]:
    """Files of two sizes whose footers prove the rules: 300 times as many rows take no longer."""
    taken: dict[int, list[float]] = {10_000: [], 3_000_000: []}
    for number in range(ROUNDS + 1):  # the first, which imports what it needs, is left out
        for count in taken:
            model = intake.model(f"parquet-{number}-{count}", b'[data]\ntarget = "label"\n', ("id", "label"))
            entry = intake.upload(f"data/{model}/rows.parquet", _write_parquet(folder / "rows.parquet", count, number))
            taken[count].append(intake.check(entry))
            if intake.verdict(model, entry)["accepted"] != count:
                raise RuntimeError("the rows of a Parquet file were not counted")
    small, big = (middle(seconds[1:]) for seconds in taken.values())
    return [
        Row("Parquet of 10,000 rows, by its footer", 1000 * small, "ms"),
        Row("Parquet of 3,000,000 rows, by its footer", 1000 * big, "ms"),
        at_most("Parquet: time of the big by that of the small", big / small, "ratio", 1.5),
    ]


def _write_parquet(path: Path, count: int, first: int) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.array(range(first, first + count), pa.int64())
    pq.write_table(pa.table({"id": numbers, "label": numbers}), path)
    return path


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
        variables = {**without_credentials(os.environ), **known}
        with subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env=variables, stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
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


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (found,) = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(found) / 1024
