"""How an HTTP service of the local cloud runs: on loopback, saying its port once ready, until it is asked to end."""

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def serving(app: Any, port: int) -> Iterator[int]:
    """Serves an ASGI application for as long as the block runs; answers its port, 0 having meant a free one."""
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    try:
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        listener.close()


def ending() -> threading.Event:
    """Set by SIGTERM and Ctrl-C."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def say_ready(service: str, port: int) -> None:
    """The one line by which a service says that it is ready."""
    sys.stdout.write(json.dumps({"service": service, "port": port}) + "\n")
    sys.stdout.flush()
