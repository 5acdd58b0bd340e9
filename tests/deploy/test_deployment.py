"""A deployment against the stand-in: what it makes, what a failure at every command leaves, and its removal."""

import copy
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from deploy import metrics, table
from deploy.gcloud import Answer
from deploy.plan import PUSHER, TRAINER, Target, account_of, deployed_name, plan
from deploy.runner import Runner
from deploy.steps import Command, Step
from shared.events import CATALOGUE
from shared.wiring import FUNCTIONS, PUBLISHES, SUBSCRIPTIONS, TOPICS, may_publish
from tests.deploy.standin import StandIn

ROOT = Path(__file__).parents[2]
TARGET = Target("p-1", "europe-west1")
WAITS_SECONDS = (1.0, 2.0)
FULL = os.environ.get("SERIN_DEPLOY_CHECK") == "full"
LOOKS = {"describe", "list", "get-iam-policy"}

METRICS = {metric["name"]: metric for metric in table.load()["metrics"]}


@cache
def steps() -> tuple[Step, ...]:
    return plan(TARGET, table.load())


def runner(gcloud: object, slept: list[float] | None = None) -> Runner:
    pauses: list[float] = [] if slept is None else slept
    return Runner(gcloud, TARGET, WAITS_SECONDS, pauses.append, lambda _: None, lambda *_: None, metrics=METRICS)  # type: ignore[arg-type]


class FailingAt:
    """Another gcloud that fails once, at one command, before or after that command's effect."""

    def __init__(self, inner: StandIn, index: int, after: bool) -> None:
        self.inner, self.left, self.after = inner, index, after

    def __call__(self, command: Command, /) -> Answer:
        self.left -= 1
        if self.left != -1:
            return self.inner(command)
        if self.after:
            self.inner(command)
        return Answer(1, err="INTERNAL: an internal error has occurred")


@cache
def complete() -> StandIn:
    gcloud = StandIn()
    report = runner(gcloud).deploy(steps())
    assert report.failure == ""
    return gcloud


def test_the_table_that_the_plan_is_made_from_is_current() -> None:
    assert table.FILE.read_text() == table.text(table.derive()), "python -m deploy.table"


def test_every_topic_and_every_subscription_stands_as_the_wiring_says() -> None:
    made = complete().state["made"]
    assert {key.split()[-1] for key in made if key.startswith("pubsub topics ")} == set(TOPICS)
    found = {key.split()[-1]: flags for key, flags in made.items() if key.startswith("pubsub subscriptions ")}
    assert set(found) == {each.name for each in SUBSCRIPTIONS}
    for each in SUBSCRIPTIONS:
        flags, uri = found[each.name], f"https://{deployed_name(each.function)}.example.run.app"
        assert flags.get("message-filter", "") == each.filter
        assert flags["topic"] == each.topic
        assert flags["push-endpoint"] == f"{uri}/projects/p-1/topics/{each.topic}"
        assert flags["push-auth-token-audience"] == uri
        assert (flags["ack-deadline"], flags["expiration-period"]) == ("600", "never")
        assert ("dead-letter-topic" in flags) == (each.topic != "dead-letters")


def test_every_function_may_publish_what_the_wiring_says_and_nothing_else() -> None:
    policies = complete().state["policies"]
    for function in FUNCTIONS:
        member = TARGET.account(account_of(function))
        allowed = {k.split()[-1] for k, held in policies.items() if k.startswith("pubsub") and member in dict_of(held)}
        assert allowed == set(may_publish(function))
        assert ["roles/run.invoker", TARGET.account(PUSHER)] in policies[f"run services {deployed_name(function)}"]


def dict_of(held: list[list[str]]) -> set[str]:
    return {member for _, member in held}


def test_nobody_may_overwrite_or_delete_the_state() -> None:
    roles = {role for role, _ in complete().state["policies"]["storage buckets gs://p-1-serin-state"]}
    assert roles == {"roles/storage.objectCreator", "roles/storage.objectViewer"}


def test_deployed_again_it_changes_nothing() -> None:
    gcloud = StandIn(copy.deepcopy(complete().state))
    before = copy.deepcopy(gcloud.state)
    report = runner(gcloud).deploy(steps())
    assert gcloud.state == before
    assert report.made == ("the service agents of Pub/Sub and Cloud Storage",)
    assert len(gcloud.state["notifications"]) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "with the reply lost"])
def test_after_a_failure_at_any_command_a_second_run_completes_it(after: bool) -> None:
    for index, command in enumerate(complete().commands):
        if after and LOOKS & set(command):
            continue  # a look without an answer has no effect: the other sweep has it
        inner = StandIn()
        report = runner(FailingAt(inner, index, after)).deploy(steps())
        assert report.failure, index
        assert "INTERNAL" in report.failure
        assert len(report.made) + len(report.there) + len(report.left) == len(steps())
        assert runner(inner).deploy(steps()).failure == ""
        assert normal(inner) == normal(complete()), complete().commands[index]


def test_removal_leaves_nothing_and_goes_on_after_a_failure_at_any_command() -> None:
    whole = StandIn(copy.deepcopy(complete().state))
    assert runner(whole).destroy(steps()).failure == ""
    for index in [None, *range(len(whole.commands))]:
        gcloud = StandIn(copy.deepcopy(complete().state))
        if index is not None:
            assert "INTERNAL" in runner(FailingAt(gcloud, index, True)).destroy(steps()).failure
        assert runner(gcloud).destroy(steps()).failure == ""
        assert (gcloud.state["made"], gcloud.state["notifications"]) == ({}, [])
        assert gcloud.state["policies"].get("projects p-1", []) == []


def normal(gcloud: StandIn) -> dict[str, object]:
    policies = {key: sorted(held) for key, held in gcloud.state["policies"].items()}
    return {**gcloud.state, "policies": policies}


class RefusingAtFirst:
    """A gcloud whose permissions take a while: each binding is refused a number of times."""

    def __init__(self, times: int) -> None:
        self.inner, self.times = StandIn(), times

    def __call__(self, command: Command, /) -> Answer:
        if "add-iam-policy-binding" in command and self.times:
            self.times -= 1
            return Answer(1, err="INVALID_ARGUMENT: Service account serin-push does not exist.")
        return self.inner(command)


def test_what_is_refused_is_tried_again_while_permissions_spread() -> None:
    slept: list[float] = []
    assert runner(RefusingAtFirst(2), slept).deploy(steps()).failure == ""
    assert slept == [1.0, 2.0]


def test_what_stays_refused_ends_the_deployment() -> None:
    assert "does not exist" in runner(RefusingAtFirst(3)).deploy(steps()).failure


def test_a_subscription_with_another_filter_is_not_passed_over() -> None:
    gcloud = StandIn(copy.deepcopy(complete().state))
    gcloud.state["made"]["pubsub subscriptions check_rows.data-uploaded"]["message-filter"] = "other"
    assert "cannot be changed" in runner(gcloud).deploy(steps()).failure


def test_a_changed_function_and_only_that_is_deployed_again() -> None:
    gcloud = StandIn(copy.deepcopy(complete().state))
    gcloud.state["made"]["functions check-rows"]["update-labels"] = "serin-source=before"
    made = runner(gcloud).deploy(steps()).made
    assert made == ("the service agents of Pub/Sub and Cloud Storage", "function check-rows")


def test_names_of_service_accounts_are_no_longer_than_google_allows() -> None:
    assert max(len(name) for name in (PUSHER, TRAINER, *map(account_of, FUNCTIONS))) <= 30


def shell(arguments: list[str], path: str, state: Path, told: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "PYTHON": sys.executable, "HOME": str(state), "SERIN_STANDIN_STATE": str(state / "s")}
    command = [str(ROOT / "deploy.sh"), *arguments]
    return subprocess.run(
        command, env=environment, input=told, cwd=state, capture_output=True, text=True, check=False, timeout=100
    )


def test_a_dry_run_needs_no_gcloud_and_prints_every_command(tmp_path: Path) -> None:
    done = shell(["p-1", "europe-west1", "--dry-run"], "/usr/bin:/bin", tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "s").exists()
    assert done.stdout.count("\ngcloud ") == sum(len(step.make) for step in steps())
    assert done.stdout.count("gcloud functions deploy") == len(FUNCTIONS)


@pytest.mark.skipif(not FULL, reason="a process per command: make deploy-check runs it")
def test_the_script_deploys_and_removes_only_after_the_project_is_typed(tmp_path: Path) -> None:
    path = f"{Path(__file__).parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}/usr/bin:/bin"
    (tmp_path / "s").write_text(json.dumps(complete().state))
    again = shell(["p-1", "europe-west1"], path, tmp_path)
    assert again.returncode == 0, again.stderr
    assert shell(["p-1", "europe-west1", "--destroy"], path, tmp_path, "no\n").returncode == 1
    assert json.loads((tmp_path / "s").read_text()) == complete().state


def test_a_failing_command_says_what_was_not_done_and_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "gcloud").write_text("#!/bin/sh\necho QUOTA exceeded >&2\nexit 1\n")
    (tmp_path / "gcloud").chmod(0o755)
    done = shell(["p-1", "europe-west1"], f"{tmp_path}{os.pathsep}/usr/bin:/bin", tmp_path)
    assert done.returncode == 1
    assert "QUOTA exceeded" in done.stderr
    assert "subscription check_rows.data-uploaded" in done.stderr
    assert "./deploy.sh p-1 europe-west1" in done.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_a_function_makes_it_may_publish(function: str) -> None:
    catalogue = {event.__name__ for event in CATALOGUE} - {"Notification"}
    code = "".join(path.read_text() for path in (ROOT / "functions" / function).glob("*.py"))
    made = catalogue & set(re.findall(r"\b(\w+)\(", code))
    assert made <= {event.__name__ for event in PUBLISHES.get(function, ())}


def test_a_metric_counts_what_the_wiring_says_by_the_same_labels() -> None:
    handled = json.loads(metrics.config(METRICS["serin_deliveries"]))
    assert handled["filter"] == 'resource.type="cloud_run_revision" AND jsonPayload.message="handled"'
    assert handled["labelExtractors"] == {
        "function": "EXTRACT(jsonPayload.function)",
        "outcome": "EXTRACT(jsonPayload.outcome)",
    }
    assert (handled["metricDescriptor"]["valueType"], "valueExtractor" in handled) == ("INT64", False)
    lag = json.loads(metrics.config(METRICS["serin_lag_seconds"]))
    assert (lag["metricDescriptor"]["valueType"], lag["valueExtractor"]) == (
        "DISTRIBUTION",
        "EXTRACT(jsonPayload.lag_seconds)",
    )


def test_every_metric_is_made_from_a_file_that_is_there_when_gcloud_reads_it() -> None:
    class Reading(StandIn):
        def __call__(self, command: Command, /) -> Answer:
            for argument in command:
                if argument.startswith("--config-from-file="):
                    read.append(json.loads(Path(argument.split("=", 1)[1]).read_text())["name"])
            return super().__call__(command)

    read: list[str] = []
    assert runner(Reading()).deploy(steps()).failure == ""
    assert read == list(METRICS)
