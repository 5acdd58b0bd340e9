"""What a function may do is written once, in the wiring, and held everywhere: by the world in memory and by IAM."""

import pytest

from cli.pages.permissions import page
from deploy import table
from deploy.permissions import PERMISSIONS, permissions
from deploy.plan import plan
from deploy.target import Target, account_of
from shared import wiring
from shared.envelope import Message
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED, DEAD_LETTERS
from tests.deploy.googles_permissions import EXISTING
from tests.deploy.googles_permissions import permitted as permitted_by_google
from tests.functions.standing_run import published
from tests.world.cloud import MemoryCloud
from tests.world.permissions import Unpermitted, granted, permitted, unneeded
from tests.world.running import announcement, deliver

NOTHING_TO_REFUSE = {CLOCK_TICKED, DEAD_LETTERS}


@pytest.mark.parametrize("subscription", [each for each in wiring.SUBSCRIPTIONS if each.topic not in NOTHING_TO_REFUSE])
def test_every_function_may_tell_people_what_it_refuses(subscription: wiring.Subscription) -> None:
    cloud = MemoryCloud()
    folder = next((name for name in ("data", "settings", "score") if f'"{name}/"' in subscription.filter), "")
    elsewhere = Message({**announcement(f"{folder}/digits/a", 1), "bucketId": "somebody-elses"}, b"{}")
    message = elsewhere if subscription.topic == DATA_UPLOADED else Message({"ce-id": "1"}, b"no event")
    assert deliver(cloud, subscription.function, subscription.topic, message) == 200
    assert [payload.topic for payload in published(cloud)] == ["notifications"]


@pytest.mark.parametrize(
    "use",
    [
        ("check_rows", "artefacts", "storage.read"),
        ("check_rows", "data", "storage.create"),
        ("smoke_test", "data", "storage.read"),
        ("notify", "vertex", "vertex.deploy"),
        ("smoke_test", "vertex", "vertex.deploy"),
        ("notify", "run", "run.get_service"),
        ("smoke_test", "run", "run.deploy"),
        ("reconcile", "run", "run.create_job"),
        ("check_rows", "deployment-approved", "pubsub.publish"),
        ("notify", "data-uploaded", "pubsub.publish"),
        ("stage_model", "state", "storage.delete"),
    ],
)
def test_what_the_wiring_does_not_give_ends_the_test_that_does_it(use: tuple[str, str, str]) -> None:
    cloud = MemoryCloud()
    cloud.caller = use[0]
    assert not permitted(use)
    with pytest.raises(Unpermitted):
        cloud.use(*use[1:])


def test_a_permission_that_nobody_uses_is_noticed() -> None:
    everything = {use if use[2] != "read" else (*use[:2], "storage.read") for use in granted()}
    assert unneeded(everything) == set()
    for use in everything:
        assert len(unneeded(everything - {use})) == 1


def test_the_deployment_gives_what_the_wiring_says_and_nothing_else() -> None:
    """By the commands of the plan: each function's buckets, topics and what it has on the project."""
    target = Target("p-1", "europe-west1")
    bindings = [command for step in plan(target, table.load()) for command in step.make if _binds(command)]
    for function in wiring.FUNCTIONS:
        member = f"--member={target.account(account_of(function))}"
        given = {(_thing(command), _role(command)) for command in bindings if member in command}
        wanted = {("topics", topic) for topic in wiring.may_publish(function)}
        assert {("topics", command[3]) for command in bindings if member in command and "topics" in command} == wanted
        buckets = {(name, role.rsplit(".", 1)[-1]) for name, role in given if name.startswith("gs://")}
        expected = {(f"gs://{target.state}", "objectViewer"), (f"gs://{target.state}", "objectCreator")}
        expected |= {(f"gs://{target.data}", "objectViewer")} if function in wiring.READS_DATA else set()
        expected |= {(f"gs://{target.artefacts}", "objectViewer")} if function in wiring.READS_ARTEFACTS else set()
        expected |= {(f"gs://{target.artefacts}", "objectCreator")} if function in wiring.WRITES_ARTEFACTS else set()
        assert buckets == expected
        own = {role for name, role in given if name == target.project}
        assert own == ({f"projects/p-1/roles/serin.{function}"} if permitted_by_google(function) else set())


def test_each_functions_own_role_holds_what_its_effects_need_and_nothing_else() -> None:
    """By the commands of the plan, against the methods behind the effects (tests/deploy/googles_permissions.py)."""
    made = [command for step in plan(Target("p-1", "europe-west1"), table.load()) for command in step.make]
    held = {command[3]: _flag(command, "permissions") for command in made if command[:3] == ("iam", "roles", "create")}
    asking = set(wiring.VERTEX) | set(wiring.CLOUD_RUN)
    assert {name: set(names.split(",")) for name, names in held.items()} == {
        f"serin.{function}": permitted_by_google(function) for function in asking
    }


def test_every_permission_is_one_that_google_has() -> None:
    named = {name for names in PERMISSIONS.values() for name in names}
    assert named - EXISTING == set()
    assert {name for function in wiring.FUNCTIONS for name in permitted_by_google(function)} == named


def test_no_effect_is_known_to_iam_that_no_function_has() -> None:
    effects = [effect for duties in (wiring.VERTEX, wiring.CLOUD_RUN) for done in duties.values() for effect in done]
    assert set(PERMISSIONS) == set(effects)


def test_an_effect_without_a_permission_cannot_be_planned() -> None:
    with pytest.raises(KeyError):
        permissions({"vertex.get_job", "vertex.delete_endpoint"})


def _binds(command: tuple[str, ...]) -> bool:
    return "add-iam-policy-binding" in command


def _thing(command: tuple[str, ...]) -> str:
    return command[command.index("add-iam-policy-binding") + 1]


def _role(command: tuple[str, ...]) -> str:
    return _flag(command, "role")


def _flag(command: tuple[str, ...], name: str) -> str:
    return next(part.removeprefix(f"--{name}=") for part in command if part.startswith(f"--{name}="))


def test_nobody_may_overwrite_or_delete_what_is_kept() -> None:
    assert not [use for use in granted() if use[1] in ("data", "state", "artefacts") and "delete" in use[2]]
    assert not [use for use in granted() if use[1] == "data" and use[2] != "read"]


def test_the_page_names_every_permission() -> None:
    text = page()
    for function, thing, effect in granted():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{function}` ")]
        named = effect.partition(".")[2] if thing in ("vertex", "run") else thing
        assert named in row or effect == "logging.list"
