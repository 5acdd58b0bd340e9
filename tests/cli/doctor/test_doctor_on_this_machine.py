"""The doctor before a local installation's real services: what is taken away is found, and its mending mends it."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from typer.testing import CliRunner

from bench.coldstart import services
from cli.doctor.asking import Eyes
from cli.doctor.command import looked_at_here, target_of
from cli.doctor.findings import Finding
from cli.doctor.places import OnThisMachine
from cli.main import app
from deploy.plan import plan
from deploy.table import load
from local.supervisor import PROJECT
from local.wiring import Retry, Target, wire_pubsub, wire_storage

SUBSCRIPTION = f"v1/projects/{PROJECT}/subscriptions/check_rows.data-uploaded"
NOTIFICATIONS = "storage/v1/b/serin-data/notificationConfigs"


class Installation:
    """A local installation, of which only Pub/Sub and Cloud Storage run."""

    def __init__(self, home: Path, variables: dict[str, str]) -> None:
        self.home, self.variables = home, variables
        self.pubsub = f"http://{variables['PUBSUB_EMULATOR_HOST']}"
        self.storage = variables["STORAGE_EMULATOR_HOST"]
        self.steps = plan(target_of(variables), load())

    def started(self) -> None:
        """What `serin up` does to the services once they run."""
        known = self.variables
        wire_pubsub(known["PUBSUB_EMULATOR_HOST"], PROJECT, Target(known["SERIN_FUNCTIONS_HOST"]), Retry(0.2, 3.0))
        others = (known["SERIN_STATE_BUCKET"], known["SERIN_ARTEFACTS_BUCKET"])
        wire_storage(self.storage, PROJECT, known["SERIN_DATA_BUCKET"], others)

    def doctor(self) -> list[Finding]:
        """What is found amiss, but for the services that do not run here."""
        addresses = {"pubsub": self.pubsub, "storage": self.storage}
        with requests.Session() as session:
            place = OnThisMachine(Eyes(PROJECT, addresses, session), PROJECT, self.home, self.variables)
            return [each for each in looked_at_here(place, {}, self.steps) if each.state in ("wrong", "unknown")]

    def mend(self, finding: Finding) -> None:
        for line in finding.mend:
            words = shlex.split(line)
            if words == ["serin", "up", "--home", str(self.home)]:
                self.started()
            else:
                assert words[0] == "curl"
                body = words[words.index("-d") + 1] if "-d" in words else None
                answer = httpx.request(words[2], words[-1], content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code < 300, answer.text


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("patient")
    with services(folder, ("pubsub", "storage")) as variables:
        (folder / "installation").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        made = Installation(folder, variables)
        made.started()
        # The bucket was there before it was wired, and lacks what only its making gives it.
        for finding in made.doctor():
            assert finding.what == "object versions in bucket serin-data"
            made.mend(finding)
        yield made


def gone(url: str) -> None:
    assert httpx.delete(url).status_code < 300, url


def test_an_installation_as_it_is_started_lacks_nothing_but_the_services_that_do_not_run(
    installation: Installation,
) -> None:
    assert installation.doctor() == []
    result = CliRunner().invoke(app, ["doctor", "--home", str(installation.home)])
    assert result.exit_code == 1
    assert "✗ the local vertex" in result.output
    assert f"serin up --home {installation.home}" in result.output.replace("\n", "")
    assert "the local pubsub" not in result.output


@pytest.mark.parametrize(
    ("path", "what"),
    [(SUBSCRIPTION, "subscription check_rows.data-uploaded"),
     (f"v1/projects/{PROJECT}/topics/model-promoted", "topic model-promoted")],
)  # fmt: skip
def test_a_topic_or_a_subscription_that_is_gone_is_found_and_mended(
    installation: Installation, path: str, what: str
) -> None:
    gone(f"{installation.pubsub}/{path}")
    (finding,) = installation.doctor()
    assert (finding.what, finding.why) == (what, "it is not there")
    installation.mend(finding)
    assert installation.doctor() == []


def test_a_notification_that_is_gone_is_found_and_mended(installation: Installation) -> None:
    listed = httpx.get(f"{installation.storage}/{NOTIFICATIONS}").json()["items"]
    gone(f"{installation.storage}/{NOTIFICATIONS}/{listed[0]['id']}")
    (finding,) = installation.doctor()
    assert finding.area == "notification"
    installation.mend(finding)
    assert installation.doctor() == []


def test_a_bucket_that_is_gone_is_found_and_mended(installation: Installation) -> None:
    gone(f"{installation.storage}/storage/v1/b/serin-artefacts")
    (finding,) = installation.doctor()
    assert finding.what == "bucket serin-artefacts"
    installation.mend(finding)
    assert installation.doctor() == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("filter", 'attributes.eventType = "OBJECT_DELETE"', "filter cannot be changed"),
        ("ackDeadlineSeconds", 10, "ack-deadline is 10, not 600"),
        ("deadLetterPolicy", None, "dead-letter-topic is not set, not dead-letters"),
        ("expirationPolicy", {"ttl": "86400s"}, "expiration-period is 86400s, not never"),
        ("pushConfig", {"pushEndpoint": "http://127.0.0.1:1/old"}, "push-endpoint is http://127.0.0.1:1/old"),
    ],
)
def test_a_subscription_that_differs_is_found_and_made_again(
    installation: Installation, name: str, value: Any, told: str
) -> None:
    url = f"{installation.pubsub}/{SUBSCRIPTION}"
    settings = {**httpx.get(url).json(), name: value}
    gone(url)
    httpx.put(url, json={key: each for key, each in settings.items() if each is not None}).raise_for_status()
    (finding,) = installation.doctor()
    assert told in finding.why
    installation.mend(finding)
    assert installation.doctor() == []


def test_where_there_is_no_installation_the_command_says_so_and_ends_with_1(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "`serin up` makes one" in str(result.exception)
