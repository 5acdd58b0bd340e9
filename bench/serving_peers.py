"""The servers in the comparison: how each is installed, started and asked. All get the same core, one after another."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import served_models
from bench.peers import models
from local.processes import free_port, without_credentials

_SCRIPTS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path("build/bench/peers")
SERIN = "Serin"


@dataclass(frozen=True)
class Server:
    """One way to serve: the command for a model on a port, where it is asked, and the body for some rows."""

    name: str
    command: Callable[[str, int], Sequence[str]]
    health: str
    path: Callable[[str], str]
    body: Callable[[str, Sequence[Sequence[float]]], Any]
    variables: Mapping[str, str]


def servers(folder: Path, local_cloud: Mapping[str, str]) -> list[Server]:
    """Serin first, then its peers; the models of each are written into the folder."""
    served_models.written(folder / "serin")
    # As its image has it, and as pip does it for its peers.
    _run([sys.executable, "-m", "compileall", "-q", "serving_image", "shared"])
    peers = [_python("fastapi"), _python("platforms")]
    _run([peers[0], _SCRIPTS / "fastapi_joblib.py", "train", folder])
    _run([peers[1], _SCRIPTS / "platforms.py", folder])
    return [_serin(folder / "serin", local_cloud), _fastapi(folder), _mlserver(folder), _mlflow(folder)]


def _serin(folder: Path, local_cloud: Mapping[str, str]) -> Server:
    """As on an endpoint: with receipts, with evidence, and with histograms."""
    deployed = {
        **local_cloud, "AIP_ENDPOINT_ID": "serin-bench", "AIP_DEPLOYED_MODEL_ID": "1", "SERIN_MODEL": "bench",
        "SERIN_RUN": "bench-000001", "SERIN_RECEIPT_KEY_URI": str(folder / "key"), "SERIN_REPORT_SECONDS": "1",
        "SERIN_HOST": "127.0.0.1",
    }  # fmt: skip

    def command(model: str, port: int) -> Sequence[str]:
        return ["env", f"ARTIFACTS_DIR={folder / model}", f"PORT={port}", sys.executable, "-m", "serving_image"]

    return Server(SERIN, command, "/health", lambda _: "/predict", _instances, deployed)


def _fastapi(folder: Path) -> Server:
    def command(model: str, port: int) -> Sequence[str]:
        return [_python("fastapi"), str(_SCRIPTS / "fastapi_joblib.py"), "serve", str(folder), model, str(port)]

    return Server("FastAPI + joblib", command, "/health", lambda _: "/predict", _instances, {})


def _mlserver(folder: Path) -> Server:
    """Without a pool of workers: on one core it answers more so."""

    def command(model: str, port: int) -> Sequence[str]:
        settings = {
            "host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port(),
            "parallel_workers": 0, "debug": False,
        }  # fmt: skip
        place = folder / "mlserver" / model
        (place / "settings.json").write_text(json.dumps(settings))
        return [str(ENVIRONMENTS.resolve() / "platforms/bin/mlserver"), "start", str(place)]

    def path(model: str) -> str:
        return f"/v2/models/{model}/infer"

    def body(model: str, rows: Sequence[Sequence[float]]) -> Any:
        data = [cell for row in rows for cell in row]
        cells = {"name": "rows", "shape": [len(rows), models.FEATURES], "datatype": "FP32", "data": data}
        return {"inputs": [cells], "outputs": [{"name": "predict" if model == "isolation" else "predict_proba"}]}

    return Server("MLServer", command, "/v2/health/ready", path, body, {})


def _mlflow(folder: Path) -> Server:
    def command(model: str, port: int) -> Sequence[str]:
        flow = str(ENVIRONMENTS.resolve() / "platforms/bin/mlflow")
        return [
            flow, "models", "serve", "-m", str(folder / "mlflow" / model), "-h", "127.0.0.1", "-p", str(port),
            "--env-manager", "local", "--workers", "1",
        ]  # fmt: skip

    path = {"PATH": f"{ENVIRONMENTS.resolve() / 'platforms/bin'}{os.pathsep}{os.environ['PATH']}"}
    return Server("MLflow", command, "/health", lambda _: "/invocations", lambda _, rows: {"inputs": list(rows)}, path)


def _instances(_: str, rows: Sequence[Sequence[float]]) -> Any:
    return {"instances": [dict(zip(models.NAMES, row, strict=True)) for row in rows]}


@contextmanager
def running(server: Server, model: str, cores: set[int], log: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server of a model on these cores, from its start until the block ends; gives its port."""
    port = free_port()
    known = {**without_credentials(os.environ), **server.variables}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in server.command(model, port)], env=known, stdout=output, stderr=output,
            start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
    tree = psutil.Process(process.pid)
    try:
        yield port, tree
    finally:
        family = [*tree.children(recursive=True), tree]
        for each in family:
            each.terminate()
        _, alive = psutil.wait_procs(family, 10)
        for each in alive:
            each.kill()
        process.wait()


def is_healthy(server: Server, port: int) -> bool:
    """Whether it says that it can answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{server.health}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _python(name: str) -> str:
    """The interpreter of a peers' environment of their own, made and filled when it is not there."""
    place = ENVIRONMENTS / name
    python, ready = place / "bin/python", place / "ready"
    wanted = (_SCRIPTS / f"{name}.txt").read_text()
    if not ready.exists() or ready.read_text() != wanted:
        _run([sys.executable, "-m", "venv", "--clear", place])
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r",
              _SCRIPTS / f"{name}.txt"])  # fmt: skip
        ready.write_text(wanted)
    return str(python.absolute())


def _run(command: Sequence[object]) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
