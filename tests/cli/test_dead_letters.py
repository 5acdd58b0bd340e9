"""What was given up is listed, shown with where it broke, sent again as it was, or set aside with a reason."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.dead_letters import find, replayed
from cli.main import app
from shared.environment import Cloud
from shared.errors import Transient
from shared.ledger import Author, Ledger, Outcome, bugs_prefix, dead_letter_key
from tests.cli.test_cli import heard
from tests.functions.standing_run import event
from tests.world.cloud import MemoryCloud

pytestmark = pytest.mark.filterwarnings("default")  # Google's clients warn when their threads end with the process
LOST = event("deployment-approved")


def ledger(cloud: Cloud) -> Ledger:
    return Ledger(cloud.state, Author("test", None, None, cloud.now, cloud.token))


def give_up(cloud: Cloud, identity: str, **changes: Any) -> None:
    bug = f"{bugs_prefix('stage_model', LOST.id)}a0b1"
    ledger(cloud).once(bug, lambda: Outcome({"exception": "KeyError", "frames": ["staging.py:12:stage"]}))
    data = {
        "function": "stage_model", "subscription": "projects/p/subscriptions/stage_model.deployment-approved",
        "attempts": 20, "attributes": LOST.attributes(), "data": base64.b64encode(LOST.data()).decode(),
        "data_bytes": len(LOST.data()), "traceback": bug, **changes,
    }  # fmt: skip
    ledger(cloud).record(dead_letter_key(identity, "000000"), Outcome(data))


def serin(home: Path, *words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *words, "--home", str(home)])
    assert result.exit_code == status, result.output
    return str(result.output)


def listed(home: Path, *words: str) -> dict[str, Any]:
    return {each["id"]: each for each in json.loads(serin(home, "list", "--json", *words))}


def test_a_letter_is_listed_and_shown_with_where_the_function_broke(home: Path, cloud: Cloud) -> None:
    give_up(cloud, "aaaa1111")
    letter = listed(home)["aaaa1111"]
    assert (letter["function"], letter["event"], letter["attempts"]) == ("stage_model", LOST.id, 20)
    told = json.loads(serin(home, "show", "aaaa"))
    assert told["broke"] == ["KeyError", "staging.py:12:stage"]
    assert json.loads(told["data"])["run"] == "digits-000002"


def test_a_replay_sends_it_as_it_was_and_once(home: Path, cloud: Cloud) -> None:
    give_up(cloud, "bbbb2222")
    with heard(cloud, "deployment-approved") as told:
        serin(home, "replay", "bbbb2222")
    ((attributes, data),) = told
    assert (attributes, data) == (LOST.attributes(), json.loads(LOST.data()))
    assert "bbbb2222" not in listed(home)
    assert listed(home, "--all")["bbbb2222"]["state"] == "replayed"
    result = CliRunner().invoke(app, ["dead-letters", "replay", "bbbb2222", "--home", str(home)])
    assert "was replayed already" in str(result.exception)


def test_a_replay_that_could_not_publish_is_tried_again() -> None:
    world = MemoryCloud()
    give_up(world, "eeee5555")
    world.door.before["pubsub.publish"] = Transient("pubsub.publish", "status 503")
    with pytest.raises(Transient):
        replayed(world, find(ledger(world), "eeee"), "ada")
    assert (find(ledger(world), "eeee").state, world.bus.history) == ("waiting", [])
    replayed(world, find(ledger(world), "eeee"), "ada")
    ((topic, message),) = world.bus.history
    assert (find(ledger(world), "eeee").state, topic) == ("replayed", "deployment-approved")
    assert message.attributes == LOST.attributes()


def test_a_discarded_letter_stays_with_its_reason(home: Path, cloud: Cloud) -> None:
    give_up(cloud, "cccc3333")
    serin(home, "discard", "cccc3333", "--because", "a test of somebody's", "--by", "ada")
    assert listed(home, "--all")["cccc3333"]["state"] == "discarded"
    ended = ledger(cloud).require(dead_letter_key("cccc3333", "000000-discarded"))
    assert ended.data == {"by": "ada", "because": "a test of somebody's"}


def test_a_letter_that_was_not_kept_whole_is_not_sent(home: Path, cloud: Cloud) -> None:
    give_up(cloud, "dddd4444", data_bytes=10_000_000)
    result = CliRunner().invoke(app, ["dead-letters", "replay", "dddd", "--home", str(home)])
    assert "of its 10000000 bytes were kept" in str(result.exception)


def test_an_id_that_is_nobodys_is_refused(home: Path) -> None:
    result = CliRunner().invoke(app, ["dead-letters", "show", "ffff", "--home", str(home)])
    assert "0 dead letters have an id that begins with ffff" in str(result.exception)
