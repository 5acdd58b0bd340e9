"""One process per function, started by its first message, as a serverless platform does.

push ─► /<function>/projects/P/topics/T ─► [start?] ─► functions-framework ─► its status back to Pub/Sub
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.functions.log_metrics import Definition, LogMetrics
from local.processes import Child, Processes, free_port, wait_for_port

FRAMEWORK = "functions_framework"
_START_SECONDS = 60.0
_ANSWER_SECONDS = 600.0
_AT_ONCE = 8  # what one function's process is given at a time
_UNAVAILABLE = 503
_FORWARDED = ("content-type", "authorization")


@dataclass
class Function:
    """One function and, once it was needed, its process."""

    name: str
    child: Child | None = None
    port: int = 0
    started: int = 0
    handled: int = 0
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.poll() is None


class Host:
    """Forwards pushes to functions."""

    def __init__(
        self,
        source: Path,
        variables: Mapping[str, str],
        processes: Processes,
        logs: Path,
        metrics: Sequence[Definition],
        runner: str = FRAMEWORK,
    ) -> None:
        names = sorted(folder.parent.name for folder in source.glob("*/main.py"))
        self._functions = {name: Function(name) for name in names}
        self._source = source
        self._variables = variables
        self._processes = processes
        self._logs = logs
        self._metrics = LogMetrics(metrics, logs)
        self._runner = runner
        self._stopped = False
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        self._http = httpx.AsyncClient(timeout=_ANSWER_SECONDS, limits=limits)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/local/functions", self._list, methods=["GET"]),
                Route("/metrics", self._measured, methods=["GET"]),
                Route("/{function}/{path:path}", self._push, methods=["POST"]),
            ]
        )

    def stop(self) -> None:
        """Ends every function's process, those too that are being started."""
        self._stopped = True
        self._processes.stop_all()

    async def _list(self, _request: Request) -> Response:
        told = [
            {
                "function": function.name,
                "pid": function.child.pid if function.child and function.alive else None,
                "started": function.started,
                "handled": function.handled,
            }
            for function in self._functions.values()
        ]
        return JSONResponse(told)

    async def _measured(self, _request: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _push(self, request: Request) -> Response:
        function = self._functions.get(request.path_params["function"])
        if function is None:
            return Response("no such function", 404)
        body = await request.body()
        async with function.slots:
            if not await self._ready(function):
                return Response("the function did not start", _UNAVAILABLE)
            return await self._forward(function, request.path_params["path"], body, request.headers)

    async def _forward(self, function: Function, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
        kept = {name: headers[name] for name in _FORWARDED if name in headers}
        try:
            answer = await self._http.post(f"http://127.0.0.1:{function.port}/{path}", content=body, headers=kept)
        except httpx.HTTPError:
            return Response("the function's process ended", _UNAVAILABLE)
        function.handled += 1
        return Response(status_code=answer.status_code)

    async def _ready(self, function: Function) -> bool:
        async with function.starting:
            if function.alive:
                return True
            return await run_in_threadpool(self._start, function)

    def _start(self, function: Function) -> bool:
        function.port = free_port()
        target = ["--source", str(self._source / function.name / "main.py"), "--target", function.name]
        address = ["--host", "127.0.0.1", "--port", str(function.port)]
        command = [sys.executable, "-m", self._runner, *target, *address]
        # The framework's number of threads would follow the machine's cores; ours follows what the process is given.
        variables = {**self._variables, "THREADS": str(_AT_ONCE)}
        function.child = self._processes.start(command, variables, self._logs / f"{function.name}.log")
        function.started += 1
        if self._stopped:
            self._processes.stop(function.child)
        return wait_for_port(function.port, function.child, _START_SECONDS)
