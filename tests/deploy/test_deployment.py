"""A deployment against the stand-in: what it makes, what a failure at every command leaves, and its removal."""

import itertools
import os
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

import pytest

from deploy import table
from deploy.gcloud import Answer
from deploy.plan import plan
from deploy.runner import Runner
from deploy.steps import Command
from deploy.target import PUSHER, TRAINER, Target, account_of, deployed_name
from shared.wiring import FUNCTIONS, SUBSCRIPTIONS, TOPICS, may_publish
from tests.deploy.deploying import TARGET, WAITS_SECONDS, deployed, runner, steps
from tests.deploy.standin import StandIn, Standing, uri

ROOT = Path(__file__).parents[2]


class Recorded:
    """A gcloud that answers as another did before, then fails once, as if the rest were out of order."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers = answers

    def __call__(self, _command: Command, /) -> Answer:
        if self.answers:
            return self.answers.pop(0)
        return Answer(1, err="INTERNAL: an internal error has occurred")


class Remembering(StandIn):
    """The stand-in, with what stood before each command and what each was answered."""

    def __init__(self, standing: Standing | None = None) -> None:
        super().__init__(standing)
        self.before: list[Standing] = []
        self.answers: list[Answer] = []

    def __call__(self, command: Command, /) -> Answer:
        self.before.append(self.standing)
        self.answers.append(super().__call__(command))
        return self.answers[-1]


@cache
def complete() -> Remembering:
    gcloud = Remembering()
    assert deployed(gcloud).failure == ""
    return gcloud


@cache
def removed() -> Remembering:
    gcloud = Remembering(complete().standing)
    assert runner(gcloud).destroy(steps()).failure == ""
    return gcloud


def test_the_table_that_the_plan_is_made_from_is_current() -> None:
    assert table.FILE.read_text() == table.text(table.derive()), "python -m deploy.table"


def test_every_topic_and_every_subscription_stands_as_the_wiring_says() -> None:
    standing = complete().standing
    assert set(standing.named("pubsub topics")) == set(TOPICS)
    found, functions = standing.named("pubsub subscriptions"), standing.named("functions")
    assert set(found) == {each.name for each in SUBSCRIPTIONS}
    for each in SUBSCRIPTIONS:
        flags, address = found[each.name], uri(deployed_name(each.function))
        assert flags.get("message-filter", "") == each.filter
        assert flags["topic"] == each.topic
        assert flags["push-endpoint"] == f"{address}/projects/p-1/topics/{each.topic}"
        values = dict(each.split("=", 1) for each in functions[deployed_name(each.function)]["set-env-vars"].split(","))
        assert flags["push-auth-token-audience"] == values["SERIN_PUSH_AUDIENCE"]
        assert flags["push-auth-service-account"] == values["SERIN_PUSH_ACCOUNT"]
        assert (flags["ack-deadline"], flags["expiration-period"]) == ("600", "never")
        assert ("dead-letter-topic" in flags) == (each.topic != "dead-letters")


def test_every_function_may_publish_what_the_wiring_says_and_nothing_else() -> None:
    policies = complete().standing.policies
    for function in FUNCTIONS:
        member = TARGET.account(account_of(function))
        held = {key: {each for _, each in bindings} for key, bindings in policies.items()}
        allowed = {key.split()[-1] for key, members in held.items() if key.startswith("pubsub") and member in members}
        assert allowed == set(may_publish(function))
        assert policies[f"run services {deployed_name(function)}"] == {("roles/run.invoker", TARGET.account(PUSHER))}


def test_nobody_may_overwrite_or_delete_the_state() -> None:
    roles = {role for role, _ in complete().standing.policies["storage buckets gs://p-1-serin-state"]}
    assert roles == {"roles/storage.objectCreator", "roles/storage.objectViewer"}


def test_what_is_deleted_from_where_rows_of_persons_lie_is_gone_at_once() -> None:
    made = complete().standing.named("storage buckets")
    assert {name for name, flags in made.items() if flags.get("soft-delete-duration") == "0"} == {
        "gs://p-1-serin-data", "gs://p-1-serin-artefacts",
    }  # fmt: skip


def test_deployed_again_it_changes_nothing() -> None:
    gcloud = StandIn(complete().standing)
    assert deployed(gcloud).made == ()
    assert gcloud.standing == complete().standing
    assert len(gcloud.standing.made["storage buckets notifications gs://p-1-serin-data"]) == 1


def test_a_failure_at_any_command_says_what_was_done_and_what_was_not() -> None:
    whole = complete()
    for index, command in enumerate(whole.commands):
        report = deployed(Recorded(whole.answers[:index]))
        assert "INTERNAL" in report.failure, command
        assert len(report.made) + len(report.there) + len(report.left) == len(steps())


def test_whichever_command_was_the_last_to_have_an_effect_a_second_run_completes_it() -> None:
    """A command that failed before its effect leaves what the one before it left, one whose reply was lost its own."""
    whole = complete()
    left = [before for before, after in itertools.pairwise([*whole.before, whole.standing]) if before is not after]
    assert len(left) > 250
    for standing in left:
        gcloud = StandIn(standing)
        assert deployed(gcloud).failure == ""
        assert gcloud.standing == whole.standing


def test_removal_leaves_nothing_and_goes_on_after_a_failure_at_any_command() -> None:
    whole = removed()
    # What Google's own agents may: Cloud Storage may need the key, which is not ours, for other buckets.
    key, project = f"kms keys {TARGET.key}", f"projects {TARGET.project}"
    agents = {(role, member) for role, member in complete().standing.policies[project] if "@gcp-sa-" in member}
    # A deleted role's name is taken for weeks: they stay, and nobody has them.
    roles = {name: flags for name, flags in complete().standing.made.items() if name.startswith("iam roles ")}
    nothing: tuple[object, object] = (roles, {key: complete().standing.policies[key], project: agents})
    assert (whole.standing.made, whole.standing.policies) == nothing
    for index in range(len(whole.commands)):
        assert "INTERNAL" in runner(Recorded(whole.answers[:index])).destroy(steps()).failure
        inner = StandIn([*whole.before, whole.standing][index + 1])
        assert runner(inner).destroy(steps()).failure == ""
        assert (inner.standing.made, inner.standing.policies) == nothing


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


class WithoutRoleAdmin(StandIn):
    """A deployer who may do everything but one thing with custom roles; Google's own words."""

    verb, said = "describe", "You don't have permission to get the role at projects/p-1/roles/serin.x."

    def __call__(self, command: Command, /) -> Answer:
        if command[:3] == ("iam", "roles", self.verb):
            return Answer(1, err=f"ERROR: (gcloud.iam.roles.{self.verb}) PERMISSION_DENIED: {self.said}")
        return super().__call__(command)


@pytest.mark.parametrize(("verb", "permission"), [("describe", "iam.roles.get"), ("create", "iam.roles.create")])
def test_who_deploys_is_told_at_once_what_they_lack_to_make_roles(verb: str, permission: str) -> None:
    gcloud, slept = WithoutRoleAdmin(), list[float]()
    gcloud.verb = verb
    failure = runner(gcloud, slept).deploy(steps()).failure
    assert f"needs the permission {permission}, which roles/iam.roleAdmin gives" in failure
    assert "You don't have permission" in failure
    assert slept == []


def test_an_api_that_was_enabled_a_moment_ago_is_waited_for() -> None:
    gcloud, slept = WithoutRoleAdmin(), list[float]()
    gcloud.said = "IAM API has not been used in project p-1 before or it is disabled."
    assert "has not been used" in runner(gcloud, slept).deploy(steps()).failure
    assert slept == list(WAITS_SECONDS)


def test_what_stays_refused_ends_the_deployment() -> None:
    assert "does not exist" in deployed(RefusingAtFirst(3)).failure


def changed(group: str, name: str, **flags: str) -> StandIn:
    gcloud = StandIn(complete().standing)
    gcloud.change(group, name, {**complete().standing.made[f"{group} {name}"], **flags})
    return gcloud


def test_a_subscription_with_another_filter_is_not_passed_over() -> None:
    gcloud = changed("pubsub subscriptions", "check_rows.data-uploaded", **{"message-filter": "other"})
    assert "cannot be changed" in deployed(gcloud).failure


def test_a_function_whose_deployment_failed_is_deployed_again_although_its_label_is_right() -> None:
    gcloud = changed("functions", "check-rows", **complete().standing.made["functions check-rows"], state="FAILED")
    assert deployed(gcloud).made == ("function check-rows",)
    assert deployed(gcloud).made == ()


def test_a_changed_function_and_only_that_is_deployed_again() -> None:
    gcloud = changed("functions", "check-rows", **{"update-labels": "serin-source=before"})
    assert deployed(gcloud).made == ("function check-rows",)


@pytest.mark.parametrize(
    ("flags", "commands"),
    [
        ({"permissions": "aiplatform.endpoints.get"}, ["update"]),
        ({"stage": "DISABLED"}, ["update"]),
        ({"deleted": "", "permissions": "run.services.delete"}, ["undelete", "update"]),
    ],
)
def test_a_custom_role_that_differs_is_brought_to_plan(flags: dict[str, str], commands: list[str]) -> None:
    gcloud = changed("iam roles", "serin.shift_traffic", **flags)
    assert deployed(gcloud).made == ("custom role serin.shift_traffic",)
    assert [each[2] for each in gcloud.commands if each[:2] == ("iam", "roles") and each[2] != "describe"] == commands
    assert gcloud.standing == complete().standing


class WithoutBuilds(StandIn):
    """A project in which no function can be built."""

    def __call__(self, command: Command, /) -> Answer:
        if command[:2] == ("functions", "deploy"):
            return Answer(1, err="build failed")
        return super().__call__(command)


def test_a_role_is_cut_down_only_when_the_code_that_needed_more_is_replaced() -> None:
    gcloud = changed("iam roles", "serin.shift_traffic", permissions="run.services.delete,aiplatform.endpoints.get")
    gcloud.change("functions", "shift-traffic", {"update-labels": "serin-source=before"})
    halted = WithoutBuilds(gcloud.standing)
    assert "build failed" in deployed(halted).failure
    wanted = set(complete().standing.made["iam roles serin.shift_traffic"]["permissions"].split(","))
    assert held_by(halted) == {*wanted, "run.services.delete"}
    after = StandIn(halted.standing)
    assert deployed(after).made == ("function shift-traffic", "surplus permissions of custom role serin.shift_traffic")
    assert held_by(after) == wanted
    assert deployed(after).made == ()


def test_a_role_that_lacks_and_holds_too_much_is_as_planned_after_one_deployment() -> None:
    gcloud = changed("iam roles", "serin.shift_traffic", permissions="run.services.delete,aiplatform.endpoints.get")
    assert len(deployed(gcloud).made) == 2
    assert gcloud.standing == complete().standing


def test_a_removal_leaves_a_role_that_holds_too_much_as_it_is() -> None:
    gcloud = changed("iam roles", "serin.shift_traffic", permissions="run.services.delete")
    assert runner(gcloud).destroy(steps()).failure == ""
    assert [each for each in gcloud.commands if each[:2] == ("iam", "roles")] == []


def held_by(gcloud: StandIn) -> set[str]:
    return set(gcloud.standing.made["iam roles serin.shift_traffic"]["permissions"].split(","))


def test_a_deployment_after_a_removal_finds_the_custom_roles_and_adopts_them() -> None:
    gcloud = StandIn(removed().standing)
    report = deployed(gcloud)
    assert {title for title in report.there if title.startswith("custom role ")} == {
        f"custom role {name}" for name in gcloud.standing.named("iam roles")
    }
    assert gcloud.standing == complete().standing


def before_custom_roles() -> StandIn:
    """What a deployment left that gave functions Google's own roles; a person and the pusher hold some of them too."""
    gcloud = StandIn(complete().standing)
    reconcile, retire = (TARGET.account(account_of(name)) for name in ("reconcile", "retire_model"))
    given = {("roles/aiplatform.user", each) for each in (reconcile, retire, "user:ada@example.org")}
    given |= {("roles/logging.viewer", reconcile), ("roles/run.developer", retire)}
    gcloud.bind("projects p-1", lambda held: held | given)
    return gcloud


def test_roles_that_an_earlier_deployment_gave_are_taken_back_once_all_else_stands() -> None:
    gcloud = before_custom_roles()
    assert deployed(gcloud).made == tuple(
        f"roles of earlier deployments taken from serin-{name}" for name in ("retire-model", "reconcile")
    )
    kept = ("roles/aiplatform.user", "user:ada@example.org")
    assert gcloud.standing.policies["projects p-1"] == complete().standing.policies["projects p-1"] | {kept}
    taking = [step.title for step in steps() if not step.make]
    assert taking == [step.title for step in steps()[-len(taking) :]]
    assert len([title for title in taking if title.startswith("roles of earlier")]) == len(FUNCTIONS)


def test_a_function_that_needs_no_role_any_more_loses_its_own_and_those_of_others() -> None:
    gcloud = StandIn(complete().standing)
    monitor, reconcile = (TARGET.account(account_of(name)) for name in ("monitor_canary", "reconcile"))
    ours = "projects/p-1/roles/serin"
    given = {
        (f"{ours}.monitor_canary", monitor),
        ("roles/aiplatform.user", monitor),
        (f"{ours}.stage_model", reconcile),
    }
    kept = {("projects/p-1/roles/theirs", monitor), (f"{ours}.stage_model", "user:ada@example.org")}
    gcloud.bind("projects p-1", lambda held: held | given | kept)
    assert deployed(gcloud).failure == ""
    assert gcloud.standing.policies["projects p-1"] == complete().standing.policies["projects p-1"] | kept
    assert deployed(gcloud).made == ()


def test_a_removal_takes_them_back_too() -> None:
    gcloud = before_custom_roles()
    assert runner(gcloud).destroy(steps()).failure == ""
    assert not [member for _, member in gcloud.standing.policies["projects p-1"] if "serin-" in member]


@pytest.mark.parametrize(
    ("group", "name", "title"),
    [
        ("logging metrics", "serin_deliveries", "metric serin_deliveries"),
        ("alpha monitoring policies", "backlog", "alert policy backlog"),
        ("monitoring dashboards", "serin", "the dashboard"),
    ],
)
def test_what_watches_is_made_anew_when_it_is_not_as_planned(group: str, name: str, title: str) -> None:
    older = '{"description": "older", "userLabels": {"serin": "backlog"}, "labels": {"serin": "serin"}}'
    gcloud = changed(group, name, config=older)
    assert deployed(gcloud).made == (title,)
    assert gcloud.standing == complete().standing


class OneAtATime(StandIn):
    """A stand-in that several may ask at once, and that says whether two ever changed one policy at the same time."""

    def __init__(self, standing: Standing | None = None) -> None:
        super().__init__(standing)
        self.lock, self.changing, self.clashes = threading.Lock(), set[Command](), list[Command]()

    def __call__(self, command: Command, /) -> Answer:
        binds = "add-iam-policy-binding" in command
        policy = tuple(each for each in command if not each.startswith("--")) if binds else ()
        with self.lock:
            self.clashes += [policy] if policy in self.changing else []
            self.changing |= {policy} - {()}
            answer = super().__call__(command)
        threading.Event().wait(0)  # the others' turn
        with self.lock:
            self.changing -= {policy}
        return answer


def test_several_steps_at_once_make_the_same_and_never_change_one_policy_together() -> None:
    gcloud = OneAtATime()
    assert together(gcloud).deploy(steps()).failure == ""
    assert gcloud.standing == complete().standing
    assert gcloud.clashes == []
    assert len(gcloud.commands) == len(complete().commands)
    assert together(gcloud).destroy(steps()).failure == ""
    assert set(gcloud.standing.made) == {f"iam roles {name}" for name in gcloud.standing.named("iam roles")}


def test_what_has_begun_is_finished_when_one_of_several_fails_and_nothing_more_is_begun() -> None:
    class Refusing(OneAtATime):
        def __call__(self, command: Command, /) -> Answer:
            if command[:3] == ("functions", "deploy", "launch-training"):
                return Answer(1, err="build failed")
            return super().__call__(command)

    gcloud = Refusing()
    report = together(gcloud).deploy(steps())
    assert "build failed" in report.failure
    assert "function launch-training" in report.left
    made = {f"function {name}" for name in gcloud.standing.named("functions")}
    assert made == {title for title in report.made if title.startswith("function ")}
    assert len(made) < len(FUNCTIONS) - 1


def together(gcloud: StandIn) -> Runner:
    carrying_out = runner(gcloud)
    carrying_out.at_once = 4
    return carrying_out


def test_names_of_service_accounts_are_no_longer_than_google_allows() -> None:
    assert max(len(name) for name in (PUSHER, TRAINER, *map(account_of, FUNCTIONS))) <= 30


def shell(arguments: list[str], path: str, home: Path, told: str = "") -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "PYTHON": sys.executable, "HOME": str(home)}
    command = [str(ROOT / "deploy.sh"), *arguments]
    return subprocess.run(
        command, env=environment, input=told, cwd=home, capture_output=True, text=True, check=False, timeout=100
    )


def test_a_dry_run_needs_no_gcloud_and_prints_every_command(tmp_path: Path) -> None:
    done = shell(["p-1", "europe-west1", "--dry-run"], "/usr/bin:/bin", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\ngcloud functions deploy") == len(FUNCTIONS)
    assert done.stdout.count("\ngcloud builds submit") == 2
    printed = done.stdout.splitlines()
    assert [
        step.title for step in plan(Target("p-1", "europe-west1"), table.load()) if f"# {step.title}" not in printed
    ] == []
    revoked = (
        "#   if there is any: gcloud projects remove-iam-policy-binding p-1 --member=serviceAccount:serin-reconcile@"
    )
    assert done.stdout.count(revoked) == 1
    for verb in ("undelete", "update"):
        told = f"#   if it is there and differs: gcloud iam roles {verb} serin.shift_traffic "
        assert done.stdout.count(told) == 1
    assert done.stdout.count("#   if it is there and differs: a subscription's filter cannot be changed") == len(
        SUBSCRIPTIONS
    )
    assert "#   if it is there and differs, first: gcloud logging metrics delete serin_deliveries" in printed


def test_a_dry_run_of_a_removal_prints_what_is_only_taken_away_and_says_when_there_is_nothing(tmp_path: Path) -> None:
    line = ["p-1", "europe-west1", "--dry-run", "--destroy"]
    done = shell([*line, "--only", "taken from serin-notify"], "/usr/bin:/bin", tmp_path)
    assert "if there is any: gcloud projects remove-iam-policy-binding p-1" in done.stdout
    done = shell([*line, "--only", "on pubsub topics"], "/usr/bin:/bin", tmp_path)
    assert "# nothing to do for what --only names" in done.stdout.splitlines()


def test_the_plan_of_a_removal_says_what_it_leaves(tmp_path: Path) -> None:
    done = shell(["p-1", "europe-west1", "--dry-run", "--destroy"], "/usr/bin:/bin", tmp_path)
    assert done.stdout.splitlines()[-1].startswith("# the custom roles serin.… are left")
    assert "iam roles" not in done.stdout
    taken = [line for line in done.stdout.splitlines() if line.startswith("gcloud ")]
    assert len([line for line in taken if "--role=projects/p-1/roles/serin." in line]) == 9


def test_an_image_that_is_not_named_by_digest_is_refused(tmp_path: Path) -> None:
    done = shell(["p-1", "europe-west1", "--dry-run", "--training-image", "i:latest"], "/usr/bin:/bin", tmp_path)
    assert (done.returncode, "does not name a digest" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["My project", "europe-west1"], "is not a project's id"),
        (["p-1", "nowhere"], "is not a region"),
        (["p-1", "europe-west1", "--key", "mine"], "is not projects/…/locations/"),
        (["p-1", "europe-west1", "--notify-secret", "urls"], "is not NAME:VERSION"),
        (["p-1", "europe-west1", "--only", "no such step"], "no step's title contains"),
    ],
)
def test_a_wrong_command_line_is_refused_before_anything_is_made(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    result = shell(arguments, failing_gcloud(tmp_path), tmp_path)
    assert (result.returncode, said in result.stderr) == (2, True)


def test_whoever_reads_only_the_beginning_of_a_dry_run_sees_no_error() -> None:
    command = "./deploy.sh p-1 europe-west1 --dry-run | head -n 1"
    result = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (result.stdout.count("\n"), result.stderr) == (1, "")


def failing_gcloud(folder: Path) -> str:
    (folder / "gcloud").write_text('#!/bin/sh\necho "$@" >> asked\necho QUOTA exceeded >&2\nexit 1\n')
    (folder / "gcloud").chmod(0o755)
    return f"{folder}{os.pathsep}/usr/bin:/bin"


def test_a_removal_asks_first_and_does_nothing_unless_the_project_is_typed(tmp_path: Path) -> None:
    path = failing_gcloud(tmp_path)
    assert shell(["p-1", "europe-west1", "--destroy"], path, tmp_path, "no\n").returncode == 1
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [each for each in asked if " list " not in each] == []
    assert "QUOTA" in shell(["p-1", "europe-west1", "--destroy"], path, tmp_path, "p-1\n").stderr


def test_a_failing_command_says_what_was_not_done_and_how_to_go_on(tmp_path: Path) -> None:
    done = shell(["p-1", "europe-west1"], failing_gcloud(tmp_path), tmp_path)
    assert done.returncode == 1
    assert "QUOTA exceeded" in done.stderr
    assert "subscription check_rows.data-uploaded" in done.stderr
    assert "./deploy.sh p-1 europe-west1" in done.stderr
