"""A closed loop of clients over sockets, lean enough to be no slower than the servers that it measures.

python -m bench.load PORT PATH CONNECTIONS SECONDS FILE      FILE: a request body in each line; answers are counted
"""

import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

_WARM_SHARE = 0.2
"""Of the time, before anything is counted."""
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_BYTES = 1 << 18


@dataclass(frozen=True)
class Load:
    """What came of it: all answers, those a second while it was counted, seconds to each."""

    answered: int
    per_second: float
    p50: float
    p99: float
    failed: int


class _Client:
    """One connection with one request under way."""

    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self._heard = b""
        self.sent = 0.0

    def ask(self) -> None:
        request = next(self._requests)
        self.sent = time.perf_counter()
        self.socket.sendall(request)

    def hear(self) -> int | None:
        """The status, once the answer is there."""
        data = self.socket.recv(_BYTES)
        if not data:
            raise ConnectionError("the server has closed the connection")
        self._heard = heard = self._heard + data if self._heard else data
        end = heard.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(heard, 0, end)
        if length is None:
            raise ConnectionError("an answer of unknown length")
        if len(heard) < end + 4 + int(length[1]):
            return None
        self._heard = b""
        return int(heard[9:12])


def run(port: int, path: str, bodies: Sequence[bytes], connections: int, seconds: float) -> Load:
    """Asks for so long, each connection again as soon as it is answered, every body in its turn."""
    head = b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    requests = cycle([head % (path.encode(), len(body)) + body for body in bodies])
    begun = time.perf_counter()
    counted_from, end = begun + _WARM_SHARE * seconds, begun + seconds
    took: list[float] = []
    answered = failed = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            client = _Client(port, requests)
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask()
        now = begun
        while now < end:
            for key, _ in selector.select(1.0):
                client = key.data
                status = client.hear()
                if status is None:
                    continue
                now = time.perf_counter()
                answered += 1
                failed += status != 200
                if now >= counted_from:
                    took.append(now - client.sent)
                client.ask()
            now = time.perf_counter()
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    took.sort()
    if not took:
        return Load(answered, 0.0, seconds, seconds, failed)
    return Load(answered, len(took) / (end - counted_from), took[len(took) // 2], took[len(took) * 99 // 100], failed)


if __name__ == "__main__":
    port, path, connections, seconds, file = sys.argv[1:]
    found = run(int(port), path, Path(file).read_bytes().splitlines(), int(connections), float(seconds))
    sys.stdout.write(json.dumps(asdict(found)))
