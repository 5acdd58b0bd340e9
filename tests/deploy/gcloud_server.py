"""gcloud, started once: most of a command's time is the import of gcloud itself, which this does before it forks.

Run by gcloud's own interpreter:  python gcloud_server.py SOCKET COMMAND LIBRARY…
It writes COMMAND, a program that takes gcloud's arguments and has them carried out here, each in a child of its own, by
gcloud's own `main` on the caller's environment, folder, input and outputs. It ends when its input does.
"""

import json
import os
import selectors
import signal
import socket
import sys
from pathlib import Path

_LONGEST_REQUEST_BYTES = 1 << 20
# Imported before the first request; others are when they are asked for.
_LOADED = (
    "iam service-accounts create", "pubsub subscriptions create", "pubsub topics add-iam-policy-binding",
    "projects add-iam-policy-binding", "storage buckets add-iam-policy-binding", "functions deploy",
    "run services add-iam-policy-binding", "artifacts repositories create", "builds submit",
)  # fmt: skip
_COMMAND = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as there:
    there.connect({address!r})
    asked = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(there, [len(asked).to_bytes(8, "big")], [0, 1, 2])
    there.sendall(asked)
    status = there.recv(1)
sys.exit(status[0] if status else 70)
"""


def serve(address: Path, command: Path) -> None:
    """Carries out one request after the other, many at a time, until the input ends."""
    from googlecloudsdk import gcloud_main  # type: ignore[import-not-found]

    cli = gcloud_main.CreateCLI([])
    for each in _LOADED:
        cli.top_element.LoadSubElementByPath(each.split())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(str(address))
        listening.listen(64)
        command.write_text(_COMMAND.format(python=sys.executable, address=str(address)))
        command.chmod(0o755)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while True:
            if any(key.fileobj is sys.stdin for key, _ in waiting.select()):
                return
            caller, _ = listening.accept()
            with caller:
                if os.fork() == 0:
                    _carry_out(caller, gcloud_main, cli)


def _carry_out(caller: socket.socket, gcloud_main: object, cli: object) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 70
    try:
        arguments, environment, folder = _request(caller)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["gcloud", *arguments]
        gcloud_main.main(cli)  # type: ignore[attr-defined]
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        caller.sendall(bytes([status]))
        os._exit(0)


def _request(caller: socket.socket) -> tuple[list[str], dict[str, str], str]:
    head, files, _, _ = socket.recv_fds(caller, 8, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    size = int.from_bytes(head, "big")
    assert size <= _LONGEST_REQUEST_BYTES
    content = b""
    while len(content) < size:
        content += caller.recv(size - len(content))
    arguments, environment, folder = json.loads(content)
    return arguments, environment, folder


if __name__ == "__main__":
    sys.path[:0] = sys.argv[3:]
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
