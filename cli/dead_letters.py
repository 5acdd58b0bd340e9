"""What functions gave up: to be looked at, sent again once the cause is mended, or set aside with a reason."""

import base64
import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.connection import connected, ledger_of, person
from cli.options import AsJson, Because, By, Home
from cli.printing import show_table
from shared.environment import Cloud
from shared.errors import BadInput
from shared.ledger import Ledger, Outcome, Record, dead_letter_key

app = typer.Typer(no_args_is_help=True, help="List, show, replay or discard what functions gave up.")
_COLUMNS = ("id", "at", "function", "event", "attempts", "traceback", "state")
_ENDINGS = ("replayed", "discarded")
Id = Annotated[str, typer.Argument(metavar="ID", help="as `serin dead-letters list` names it")]


@dataclass(frozen=True)
class Letter:
    """A message given up; `number` counts how often it was, `state` is waiting, replayed or discarded."""

    id: str
    number: int
    record: Record
    state: str

    def row(self) -> dict[str, Any]:
        data = self.record.data
        attributes = data["attributes"]
        event = attributes.get("ce-id") or attributes.get("objectId") or ""
        return {
            "id": self.id, "at": self.record.at.isoformat(timespec="seconds"), "function": data["function"],
            "event": event, "attempts": data["attempts"], "traceback": data["traceback"] or "", "state": self.state,
        }  # fmt: skip


@app.command("list")
def list_them(
    every: Annotated[bool, typer.Option("--all", help="those replayed or discarded too")] = False,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """List what waits to be seen to."""
    with connected(home) as cloud:
        found = letters(ledger_of(cloud))
    show_table([letter.row() for letter in found if every or letter.state == "waiting"], _COLUMNS, as_json)


@app.command()
def show(identity: Id, home: Home = None) -> None:
    """Print a dead letter whole: attributes, data, and where the function broke."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        letter = find(ledger, identity)
        data = dict(letter.record.data)
        body = base64.b64decode(data.pop("data"))
        broke = traceback_of(ledger, letter)
    told = {**letter.row(), **data, "data": body.decode(errors="replace"), "broke": broke}
    print(json.dumps(told, indent=1, ensure_ascii=False))


@app.command()
def replay(identity: Id, by: By = None, home: Home = None) -> None:
    """Send a dead letter again, exactly as it was, on its topic."""
    with connected(home) as cloud:
        print(replayed(cloud, find(ledger_of(cloud), identity), person(by)))


@app.command()
def discard(identity: Id, because: Because, by: By = None, home: Home = None) -> None:
    """Set a dead letter aside for good; it stays in the ledger, with the reason."""
    with connected(home) as cloud:
        ledger = ledger_of(cloud)
        letter = _waiting(find(ledger, identity))
        ended = Outcome({"by": person(by), "because": because})
        ledger.record(dead_letter_key(letter.id, f"{letter.number:06d}-discarded"), ended)


def letters(ledger: Ledger) -> list[Letter]:
    """Every dead letter, each as it was last given up, the oldest first."""
    newest: dict[str, tuple[int, set[str]]] = {}
    for entry in ledger.entries(dead_letter_key("", "")):
        identity, _, name = entry.key.removeprefix(dead_letter_key("", "")).partition("/")
        number, ending = int(name[:6]), name[7:]
        known = newest.get(identity, (-1, set[str]()))
        newest[identity] = (number, {ending}) if number > known[0] else (known[0], known[1] | {ending})
    found = [
        Letter(identity, number, ledger.require(dead_letter_key(identity, f"{number:06d}")), _state(endings))
        for identity, (number, endings) in newest.items()
    ]
    return sorted(found, key=lambda letter: letter.record.at)


def find(ledger: Ledger, identity: str) -> Letter:
    """The dead letter of this id, or the only one whose id begins so; raises BadInput when there is none."""
    found = [letter for letter in letters(ledger) if letter.id.startswith(identity)]
    if len(found) != 1:
        raise BadInput("dead letter", [f"{len(found)} dead letters have an id that begins with {identity}"])
    return found[0]


def traceback_of(ledger: Ledger, letter: Letter) -> list[str]:
    """Where the function broke, as far as it was noted."""
    trace = letter.record.data["traceback"]
    noted = ledger.find(trace) if trace else None
    return [noted.data["exception"], *noted.data["frames"]] if noted else []


def replayed(cloud: Cloud, letter: Letter, by: str) -> str:
    """Publishes the message again and answers its id; raises BadInput when it was not kept whole, or has ended."""
    data = _waiting(letter).record.data
    body = base64.b64decode(data["data"])
    if len(body) != data["data_bytes"]:
        raise BadInput("dead letter", [f"only {len(body)} of its {data['data_bytes']} bytes were kept"])
    topic = data["subscription"].rsplit("/", 1)[-1].split(".", 1)[-1]
    # Published first: whoever dies in between replays it once more, which functions absorb, instead of never.
    message = cloud.bus.publish(topic, body, data["attributes"])
    key = dead_letter_key(letter.id, f"{letter.number:06d}-replayed")
    ledger_of(cloud).record(key, Outcome({"by": by}))
    return message


def _waiting(letter: Letter) -> Letter:
    if letter.state != "waiting":
        raise BadInput("dead letter", [f"{letter.id} was {letter.state} already"])
    return letter


def _state(endings: set[str]) -> str:
    return next((ending for ending in _ENDINGS if ending in endings), "waiting")
