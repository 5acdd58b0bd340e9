"""Serving against its peers, side by side: answers a second, slowest answers, start and memory, on one core for each.

Rounds are interleaved, so that whatever else the machine does meets all of them. Serin issues receipts, counts on the
bins of a baseline and reports every second while it is measured; its peers only answer.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from bench.coldstart import services
from bench.load import Load
from bench.peers import models
from bench.report import Row, at_least, at_most, middle
from bench.serving_peers import SERIN, Server, is_healthy, running, servers

ROUNDS = 3
SECONDS = float(os.environ.get("SERIN_BENCH_SECONDS") or 3.0)
_READY_SECONDS = 120.0
_SETTLED_SECONDS = 0.03
_LOOK_SECONDS = 0.5
"""A server that uses less than `_SETTLED_SECONDS` of its core in this time is ready for the comparison."""
_VARIED = 2_000
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Situation:
    """A model, rows per request, connections, and the least multiple of the best peer that is promised."""

    model: str
    rows: int
    connections: int
    least: float

    @property
    def name(self) -> str:
        return f"{self.model}, {self.rows} row{'s' * (self.rows > 1)}, {self.connections} connections"


@dataclass(frozen=True)
class _Round:
    """One server in one situation, once; `cpu` in seconds per answer, which other work on the machine changes least."""

    per_second: float
    p99: float
    cpu: float


SITUATIONS = (
    Situation("linear", 1, 16, 8),
    Situation("linear", 1, 64, 15),
    Situation("forest", 1, 16, 50),
    Situation("forest", 100, 16, 3),
    Situation("isolation", 1, 16, 100),
)


def measured() -> list[Row]:
    """The table; raises RuntimeError when a server does not start or answers with an error."""
    cores = sorted(os.sched_getaffinity(0))
    try:
        os.sched_setaffinity(0, {cores[-1]})  # ours, the load's and the local cloud's
        with (
            tempfile.TemporaryDirectory(prefix="serin-bench-") as folder,
            services(Path(folder) / "home", ("pubsub", "storage")) as known,
        ):
            field = servers(Path(folder), known)
            return _Measurement(field, Path(folder), {cores[0]}).rows()
    finally:
        os.sched_setaffinity(0, cores)


class _Measurement:
    """All servers in turn, over and over, on one core."""

    def __init__(self, field: Sequence[Server], folder: Path, core: set[int]) -> None:
        self._field = field
        self._folder = folder
        self._core = core
        features, _ = models.rows()
        self._asked = [[round(float(cell), 4) for cell in row] for row in features[models.TRAINING_ROWS :]]
        self._starts: dict[str, list[float]] = {server.name: [] for server in field}
        self._loads: dict[tuple[Situation, str], list[_Round]] = defaultdict(list)
        self._memory: dict[str, list[float]] = {server.name: [] for server in field}

    def rows(self) -> list[Row]:
        for _ in range(ROUNDS):
            for model in models.MODELS:
                for server in self._field:
                    self._visit(server, model)
        found = [row for situation in SITUATIONS for row in self._compared(situation)]
        return [*found, *self._started_and_held(), *self._same_answers()]

    def _visit(self, server: Server, model: str) -> None:
        """One start of a server and one round of each of the model's situations."""
        begun = time.perf_counter()
        with running(server, model, self._core, self._folder / f"{server.name}.log") as (port, tree):
            self._wait(server, port, tree)
            started = time.perf_counter() - begun
            for situation in SITUATIONS:
                if situation.model == model:
                    self._loads[situation, server.name].append(self._load(server, situation, port, tree))
            if model == "linear":
                self._starts[server.name].append(started)
                self._memory[server.name].append(_pss(tree))

    def _load(self, server: Server, situation: Situation, port: int, tree: psutil.Process) -> _Round:
        _settle(tree)
        before = _cpu_seconds(tree)
        load = self._asked_for(server, situation, port)
        if load.failed:
            raise RuntimeError(f"{server.name} answered {load.failed} requests with an error")
        return _Round(load.per_second, load.p99, (_cpu_seconds(tree) - before) / max(1, load.answered))

    def _compared(self, situation: Situation) -> list[Row]:
        rounds = {server.name: self._loads[situation, server.name] for server in self._field}
        rows = []
        for name, its in rounds.items():
            rows.append(Row(f"{situation.name}: {name}", middle([each.per_second for each in its]), "answers/s"))
            rows.append(Row(f"{situation.name}: {name}, p99", 1000 * middle([each.p99 for each in its]), "ms"))
            rows.append(Row(f"{situation.name}: {name}, CPU", 1e6 * middle([each.cpu for each in its]), "µs/answer"))
        peers = [its for name, its in rounds.items() if name != SERIN]
        faster, slower, leaner = [], [], []
        for number, ours in enumerate(rounds[SERIN]):
            faster.append(ours.per_second / max(its[number].per_second for its in peers))
            slower.append(ours.p99 / min(its[number].p99 for its in peers))
            leaner.append(min(its[number].cpu for its in peers) / ours.cpu)
        best = f"{situation.name}: {SERIN} to the best peer"
        rows.append(at_least(best, middle(faster), "×", situation.least))
        rows.append(at_most(f"{best}, p99", middle(slower), "×", 1.0))
        rows.append(Row(f"{best}, answers per CPU second", middle(leaner), "×"))
        return rows

    def _asked_for(self, server: Server, situation: Situation, port: int) -> Load:
        file = self._folder / "bodies"
        count = max(64, _VARIED // situation.rows)
        slices = [
            [self._asked[(start + row) % len(self._asked)] for row in range(situation.rows)]
            for start in range(0, count * situation.rows, situation.rows)
        ]
        file.write_text("\n".join(json.dumps(server.body(situation.model, rows)) for rows in slices))
        command = [
            sys.executable, "-m", "bench.load", str(port), server.path(situation.model), str(situation.connections),
            str(SECONDS), str(file),
        ]  # fmt: skip
        return Load(**json.loads(subprocess.run(command, check=True, capture_output=True).stdout))

    def _started_and_held(self) -> list[Row]:
        rows = []
        for what, unit, kept, most in (
            ("start to first healthy answer", "s", self._starts, 1 / 3),
            ("memory, linear model", "MB", self._memory, 2 / 3),
        ):
            found = {name: middle(values) for name, values in kept.items()}
            rows += [Row(f"{what}: {name}", value, unit) for name, value in found.items()]
            best = min(value for name, value in found.items() if name != SERIN)
            rows.append(at_most(f"{what}: {SERIN} to the best peer", found[SERIN] / best, "×", most))
        return rows

    def _same_answers(self) -> list[Row]:
        serin = next(server for server in self._field if server.name == SERIN)
        return [self._same(serin, model) for model in models.MODELS]

    def _same(self, serin: Server, model: str) -> Row:
        """Rows on which Serin and scikit-learn differ by more than rounding."""
        with running(serin, model, self._core, self._folder / f"{serin.name}.log") as (port, tree):
            self._wait(serin, port, tree)
            told = [
                prediction
                for start in range(0, len(self._asked), 1_000)
                for prediction in _predictions(port, serin.body(model, self._asked[start : start + 1_000]))
            ]
        features = np.array(self._asked, dtype=np.float32)
        fitted = models.fitted(model)
        if model == "isolation":
            wrong = np.abs(fitted.score_samples(features) - [each["anomaly_score"] for each in told]) > _TOLERANCE
        else:
            wrong = _differ(fitted.predict_proba(features), told)
        return at_most(f"{model}: rows of {len(told)} answered otherwise than by scikit-learn", int(wrong.sum()), "", 0)

    def _wait(self, server: Server, port: int, tree: psutil.Process) -> None:
        end = time.monotonic() + _READY_SECONDS
        while not is_healthy(server, port):
            if time.monotonic() > end or not tree.is_running() or tree.status() == psutil.STATUS_ZOMBIE:
                log = (self._folder / f"{server.name}.log").read_text()
                raise RuntimeError(f"{server.name} did not start: {log[-2000:]}")
            time.sleep(0.005)


def _pss(tree: psutil.Process) -> float:
    """Megabytes of a process and its children, what they share counted once."""
    return sum(each.memory_full_info().pss for each in [tree, *tree.children(recursive=True)]) / 1e6


def _cpu_seconds(tree: psutil.Process) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in [tree, *tree.children(recursive=True)])


def _settle(tree: psutil.Process) -> None:
    """Waits until a server has done what it does once, as the building of clients: it is not what is compared."""
    before, end = -1.0, time.monotonic() + _READY_SECONDS
    while (now := _cpu_seconds(tree)) - before > _SETTLED_SECONDS and time.monotonic() < end:
        before = now
        time.sleep(_LOOK_SECONDS)


def _predictions(port: int, body: object) -> list[dict[str, float]]:
    asked = {**dict(body), "parameters": {"probabilities": True}}  # type: ignore[call-overload]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/predict", json.dumps(asked).encode(), timeout=60) as answer:
        return list(json.load(answer)["predictions"])


def _differ(expected: NDArray[np.float64], told: Sequence[Mapping[str, object]]) -> NDArray[np.bool_]:
    found = np.array([each["probabilities"] for each in told])
    labels = np.array([int(str(each["label"])) for each in told])
    best_two = np.sort(expected, axis=1)[:, -2:]
    close_call = best_two[:, 1] - best_two[:, 0] <= _TOLERANCE
    other_label = (expected.argmax(axis=1) != labels) & ~close_call
    differ: NDArray[np.bool_] = ~(np.abs(expected - found).max(axis=1) <= _TOLERANCE) | other_label
    return differ
