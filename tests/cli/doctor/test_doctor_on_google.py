"""The doctor before a project on Google Cloud: each thing taken away is found, and the command it names mends it."""

import copy
import json
import os
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.doctor.asking import ROUTES, Eyes
from cli.doctor.command import looked_at
from cli.doctor.findings import Finding
from cli.doctor.places import OnGoogle
from cli.main import app
from deploy.filling import Filling
from deploy.gcloud import Answer
from deploy.plan import plan
from deploy.steps import Command, Step
from deploy.table import load
from deploy.target import Target, deployed_name
from shared.settings import DataSettings, Settings
from shared.wiring import FUNCTIONS
from tests.cli.doctor.loopback_google import LoopbackGoogle, serving

PROJECT, REGION = "p-1", "europe-west1"
DIGEST = "sha256:" + "a" * 64
IMAGES = {
    f"--{kind}-image": f"{REGION}-docker.pkg.dev/{PROJECT}/serin/{kind}@{DIGEST}" for kind in ("training", "serving")
}
TARGET = Target(PROJECT, REGION, training_image=IMAGES["--training-image"], serving_image=IMAGES["--serving-image"])
SUBSCRIPTION = f"v1/projects/{PROJECT}/subscriptions/check_rows.data-uploaded"
BUCKET = "storage/v1/b/p-1-serin-state"
QUOTA = "v1/projects/p-1/locations/global/services/aiplatform.googleapis.com/quotaInfos"


def quota(metric: str, value: int) -> dict[str, Any]:
    """One entry as the reference of cloudquotas.v1 shows it; numbers are texts in Google's JSON."""
    name = "".join(part.title() for part in metric.split("_"))
    return {
        "name": f"{QUOTA}/{name}PerProjectPerRegion",
        "quotaId": f"{name}PerProjectPerRegion",
        "metric": f"aiplatform.googleapis.com/{metric}",
        "service": "aiplatform.googleapis.com",
        "isPrecise": True,
        "dimensions": ["region"],
        "dimensionsInfos": [
            {"dimensions": {"region": REGION}, "details": {"value": str(value)}, "applicableLocations": [REGION]},
            {"details": {"value": "0"}, "applicableLocations": ["us-central1", "asia-east1"]},
        ],
    }


def answering(command: Command) -> Answer:
    """What gcloud tells a deployment that asks for a number or for addresses."""
    if command[0] == "projects":
        return Answer(0, "123456789012")
    names = map(deployed_name, FUNCTIONS)
    return Answer(0, json.dumps([{"name": n, "serviceConfig": {"uri": f"https://{n}-x.a.run.app"}} for n in names]))


@cache
def deployed() -> LoopbackGoogle:
    """A project in which the whole plan was carried out."""
    google = LoopbackGoogle(PROJECT, REGION)
    with tempfile.TemporaryDirectory() as folder:
        filling = Filling(answering, TARGET, load(), Path(folder), lambda *_: None, lambda *_: None)
        for step in steps(TARGET):
            for command in step.make:
                google.gcloud(filling.filled(command))
    for kind in ("training", "serving"):
        google.things[f"v1/projects/p-1/locations/{REGION}/repositories/serin/dockerImages/{kind}@{DIGEST}"] = {}
    google.listed["quotaInfos"] = [quota("custom_model_training_cpus", 4), quota("custom_model_serving_cpus", 6)]
    return google


@pytest.fixture
def google() -> LoopbackGoogle:
    return copy.deepcopy(deployed())


@dataclass(frozen=True)
class Within:
    """Requests that reach the project's APIs without a network."""

    google: LoopbackGoogle

    def request(self, _verb: str, url: str, **_: Any) -> Any:
        status, found = self.google.answer(urlsplit(url).path.lstrip("/"))
        return Answered(status, found)


@dataclass(frozen=True)
class Answered:
    status_code: int
    found: dict[str, Any]
    content: bytes = b"{}"

    def json(self) -> dict[str, Any]:
        return self.found


ADDRESSES = {route.service: f"http://{route.service}" for route in ROUTES.values()}
DEPLOYING = "./deploy.sh p-1 europe-west1"
SHIFTS = [
    "aiplatform.endpoints.get", "aiplatform.endpoints.update", "run.services.get", "run.services.update",
]  # fmt: skip
SETTINGS = Settings(data=DataSettings(target="label"))


@cache
def steps(target: Target) -> tuple[Step, ...]:
    return plan(target, load())


def doctor(google: LoopbackGoogle, target: Target = TARGET) -> list[Finding]:
    place = OnGoogle(Eyes(PROJECT, ADDRESSES, Within(google)), PROJECT, REGION, DEPLOYING)
    return list(looked_at(place, target, steps(TARGET), SETTINGS))


def amiss(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.state != "fine"]


def test_a_complete_deployment_is_fine_in_every_respect(google: LoopbackGoogle) -> None:
    found = doctor(google)
    assert amiss(found) == []
    assert {each.area for each in found} >= {
        "services", "service agents", "service accounts", "roles", "buckets", "notification", "topics",
        "subscriptions", "dead-letter permissions", "images", "functions", "quotas", "clock", "metrics",
    }  # fmt: skip


def test_there_is_a_route_for_every_look_of_the_plan() -> None:
    eyes = Eyes(PROJECT, {}, None)  # type: ignore[arg-type]
    assert [step.title for step in steps(TARGET) if step.look and not eyes.knows(step.look.command)] == []


def test_an_empty_project_lacks_everything_and_is_told_in_the_order_of_the_plan(google: LoopbackGoogle) -> None:
    google.things = {f"v1/projects/{PROJECT}": google.things[f"v1/projects/{PROJECT}"]}
    google.policies, google.enabled, google.notifications = {}, set(), {}
    google.listed = {name: [] for name in google.listed}
    found = doctor(google)
    titles = [step.title.replace("{number}", "123456789012") for step in steps(TARGET)]
    assert [each.what for each in found][: len(titles)] == titles
    # Whoever asks for Cloud Storage's agent makes it, and where nothing was given there is nothing to take back.
    there = {each.what for each in found if each.area != "quotas" and each.state != "wrong"}
    nothing_to_take_back = {step.title for step in steps(TARGET) if not step.make}
    assert there == {"the service agent of Cloud Storage", *nothing_to_take_back}
    assert all(each.mend for each in found if each.state == "wrong")


ROLES = {"roles", "dead-letter permissions"}


def taken_away() -> list[str]:
    google = deployed()
    here = f"projects/{PROJECT}/locations/{REGION}"
    return [
        *(path for path in google.things if path.startswith(f"v1/projects/{PROJECT}/topics/data-up")),
        SUBSCRIPTION,
        f"v1/projects/{PROJECT}/serviceAccounts/serin-notify@{PROJECT}.iam.gserviceaccount.com",
        BUCKET,
        f"v1/projects/{PROJECT}/roles/serin.deploy_canary",
        f"v1/{here}/jobs/serin-clock",
        f"v1/{here}/repositories/serin",
    ]


@pytest.mark.parametrize("path", taken_away())
def test_a_thing_that_is_taken_away_is_found_and_the_named_command_makes_it(google: LoopbackGoogle, path: str) -> None:
    before = google.things.pop(path)
    found = [each for each in amiss(doctor(google)) if each.why == "it is not there" and each.area not in ROLES]
    assert len(found) >= 1
    assert before["name"].rsplit("/", 1)[-1].split("@")[0] in found[0].what or found[0].area == "clock"
    carry_out(google, found[0])
    assert google.things[path] == before
    assert amiss(doctor(google)) == []


def carry_out(google: LoopbackGoogle, finding: Finding) -> None:
    """What a person does who is told of it: types the commands."""
    for line in finding.mend:
        gcloud, *command = shlex.split(line)
        assert gcloud == "gcloud"
        google.gcloud([each for each in command if each != f"--project={PROJECT}"])


def test_a_function_that_is_taken_away_is_mended_by_the_deployment_which_has_its_source(google: LoopbackGoogle) -> None:
    del google.things[f"v2/projects/{PROJECT}/locations/{REGION}/functions/notify"]
    (finding,) = [each for each in amiss(doctor(google)) if each.area == "functions"]
    assert finding.what == "function notify"
    assert finding.mend == (DEPLOYING,)


@pytest.mark.parametrize(
    ("on", "role", "area"),
    [
        (SUBSCRIPTION, "roles/pubsub.subscriber", "dead-letter permissions"),
        (f"v1/projects/{PROJECT}/topics/dead-letters", "roles/pubsub.publisher", "dead-letter permissions"),
        (f"v1/projects/{PROJECT}/topics/data-uploaded", "roles/pubsub.publisher", "roles"),
        (BUCKET, "roles/storage.objectCreator", "roles"),
        (f"v1/projects/{PROJECT}", f"projects/{PROJECT}/roles/serin.deploy_canary", "roles"),
        (f"v2/projects/{PROJECT}/locations/{REGION}/services/check-rows", "roles/run.invoker", "roles"),
        (f"v1/projects/{PROJECT}", "roles/pubsub.serviceAgent", "service agents"),
    ],
)
def test_a_role_that_is_taken_away_is_found_and_the_named_command_grants_it(
    google: LoopbackGoogle, on: str, role: str, area: str
) -> None:
    held = google.policies[on]
    taken = next(each for each in held if each["role"] == role)
    held.remove(taken)
    (finding,) = amiss(doctor(google))
    assert (finding.area, finding.state) == (area, "wrong")
    carry_out(google, finding)
    assert taken in google.policies[on]


@pytest.mark.parametrize(
    ("changes", "told", "commands"),
    [
        ({"includedPermissions": ["aiplatform.endpoints.update", "run.services.get"]},
         "it lacks aiplatform.endpoints.get, run.services.update", ["update"]),
        ({"stage": "DISABLED"}, "its stage is DISABLED, not GA", ["update"]),
        ({"deleted": True}, "it is deleted", ["undelete", "update"]),
    ],
)  # fmt: skip
def test_a_custom_role_that_differs_is_found_and_the_named_commands_bring_it_to_plan(
    google: LoopbackGoogle, changes: dict[str, Any], told: str, commands: list[str]
) -> None:
    role = google.things[f"v1/projects/{PROJECT}/roles/serin.shift_traffic"]
    assert role["includedPermissions"] == SHIFTS
    role |= changes
    (finding,) = amiss(doctor(google))
    assert (finding.area, finding.what, finding.why) == ("custom roles", "custom role serin.shift_traffic", told)
    assert [line.split()[3] for line in finding.mend] == commands
    carry_out(google, finding)
    assert amiss(doctor(google)) == []


def test_a_custom_role_that_holds_too_much_is_found_and_the_named_command_cuts_it(google: LoopbackGoogle) -> None:
    google.things[f"v1/projects/{PROJECT}/roles/serin.shift_traffic"] |= {
        "includedPermissions": [*SHIFTS, "run.services.delete"]
    }
    (finding,) = amiss(doctor(google))
    assert (finding.area, finding.why) == ("custom roles", "it holds run.services.delete besides")
    assert finding.what == "surplus permissions of custom role serin.shift_traffic"
    carry_out(google, finding)
    assert amiss(doctor(google)) == []


def test_roles_of_an_earlier_deployment_are_found_and_the_named_commands_take_them_back(google: LoopbackGoogle) -> None:
    held = google.policies[f"v1/projects/{PROJECT}"]
    account = f"serviceAccount:serin-retire-model@{PROJECT}.iam.gserviceaccount.com"
    held += [{"role": role, "members": [account]} for role in ("roles/run.developer", "roles/aiplatform.user")]
    # What somebody gave under a condition, or to somebody else, was not given by a deployment.
    theirs = [
        {"role": "roles/run.viewer", "members": [account], "condition": {"expression": "request.time < date"}},
        {"role": "roles/run.developer", "members": ["user:ada@example.org"]},
    ]
    held += theirs
    (finding,) = amiss(doctor(google))
    assert (finding.area, finding.state) == ("roles", "wrong")
    assert finding.why == "still granted: roles/aiplatform.user, roles/run.developer"
    assert len(finding.mend) == 2
    carry_out(google, finding)
    assert amiss(doctor(google)) == []
    assert [each for each in held if each in theirs] == theirs


def test_a_service_that_is_not_enabled_is_found(google: LoopbackGoogle) -> None:
    google.enabled.remove("aiplatform.googleapis.com")
    (finding,) = amiss(doctor(google))
    assert finding.area == "services"
    carry_out(google, finding)
    assert "aiplatform.googleapis.com" in google.enabled


def test_a_missing_notification_is_found(google: LoopbackGoogle) -> None:
    before = google.notifications.pop("p-1-serin-data")
    (finding,) = amiss(doctor(google))
    assert finding.area == "notification"
    carry_out(google, finding)
    assert google.notifications["p-1-serin-data"] == before


@pytest.mark.parametrize(
    ("path", "name", "value", "told"),
    [
        (SUBSCRIPTION, "ackDeadlineSeconds", 10, "ack-deadline is 10, not 600"),
        (SUBSCRIPTION, "expirationPolicy", {"ttl": "2678400s"}, "expiration-period is 2678400s, not never"),
        (SUBSCRIPTION, "deadLetterPolicy", {}, "dead-letter-topic is not set, not dead-letters"),
        (SUBSCRIPTION, "pushConfig", {"pushEndpoint": "https://old/"}, "push-endpoint is https://old/"),
        ("storage/v1/b/p-1-serin-data", "versioning", {"enabled": False}, "it is not as planned"),
        (BUCKET, "retentionPolicy", {}, "retention-period is not set, not 604800s"),
        (BUCKET, "iamConfiguration", {}, "uniform-bucket-level-access is not set, not set"),
        (SUBSCRIPTION, "filter", "", "a subscription's filter cannot be changed"),
    ],
)
def test_a_thing_that_differs_is_found_and_the_named_commands_change_it(
    google: LoopbackGoogle, path: str, name: str, value: Any, told: str
) -> None:
    before = copy.deepcopy(google.things[path])
    google.things[path][name] = value
    (finding,) = amiss(doctor(google))
    assert told in finding.why
    carry_out(google, finding)
    assert google.things[path] == before


def test_a_bucket_elsewhere_cannot_be_moved_and_is_made_again(google: LoopbackGoogle) -> None:
    google.things[BUCKET]["location"] = "US"
    (finding,) = amiss(doctor(google))
    assert finding.why == f"location is US, not {REGION}"
    assert "gcloud storage rm --recursive gs://p-1-serin-state --project=p-1" in finding.mend


def test_an_image_that_is_not_in_the_repository_is_found(google: LoopbackGoogle) -> None:
    del google.things[f"v1/projects/p-1/locations/{REGION}/repositories/serin/dockerImages/serving@{DIGEST}"]
    (finding,) = amiss(doctor(google))
    assert (finding.area, finding.what, finding.state) == ("images", "the serving image", "wrong")


def test_an_image_without_a_digest_is_not_taken(google: LoopbackGoogle) -> None:
    (finding,) = amiss(doctor(google, replace(TARGET, serving_image="x/y:latest")))
    assert finding.why == "x/y:latest is not named by its digest"


def test_a_quota_that_is_too_small_is_told_with_the_command_that_asks_for_more(google: LoopbackGoogle) -> None:
    google.listed["quotaInfos"][0] = quota("custom_model_training_cpus", 2)
    (finding,) = amiss(doctor(google))
    assert finding.why == f"2 are allowed in {REGION}, 4 are needed"
    assert "--quota-id=CustomModelTrainingCpusPerProjectPerRegion --preferred-value=4" in finding.mend[0]


def test_what_the_caller_may_not_see_is_unknown_and_not_fine(google: LoopbackGoogle) -> None:
    google.refused = {QUOTA, "storage/v1/b/p-1-serin-state/iam"}
    found = amiss(doctor(google))
    assert {each.state for each in found} == {"unknown"}
    assert {each.area for each in found} == {"quotas", "roles"}
    assert all("PERMISSION_DENIED: not you" in each.why for each in found)


def test_an_api_that_the_plan_does_not_need_is_told_to_be_enabled(google: LoopbackGoogle) -> None:
    google.disabled = {"cloudquotas.googleapis.com"}
    found = amiss(doctor(google))
    assert [(each.area, each.state) for each in found] == [("quotas", "unknown")] * 2
    carry_out(google, found[0])
    assert amiss(doctor(google)) == []


def test_without_its_function_a_subscription_is_still_held_against_the_rest_of_the_plan(google: LoopbackGoogle) -> None:
    del google.things[f"v2/projects/{PROJECT}/locations/{REGION}/functions/check-rows"]
    google.things[SUBSCRIPTION]["ackDeadlineSeconds"] = 10
    (finding,) = [each for each in amiss(doctor(google)) if each.area == "subscriptions"]
    assert finding.why == "ack-deadline is 10, not 600"
    assert finding.mend == (
        "gcloud pubsub subscriptions update check_rows.data-uploaded --ack-deadline=600 --project=p-1",
    )


def test_an_unreachable_api_is_unknown_and_not_fine() -> None:
    class Unreachable:
        def request(self, *_: object, **__: object) -> object:
            from requests.exceptions import ConnectionError as Unreachable

            raise Unreachable("no route")

    place = OnGoogle(Eyes(PROJECT, ADDRESSES, Unreachable()), PROJECT, REGION, DEPLOYING)
    assert {each.state for each in looked_at(place, TARGET, steps(TARGET), SETTINGS)} == {"unknown"}


@pytest.fixture
def over_http(google: LoopbackGoogle) -> Iterator[None]:
    before = dict(os.environ)
    with serving(google) as url:
        overrides = {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}": f"{url}/" for service in ADDRESSES}
        os.environ.update(overrides)
        yield
    os.environ.clear()
    os.environ.update(before)


def serin(*words: str) -> Result:
    options = [f"{name}={image}" for name, image in IMAGES.items()]
    return CliRunner().invoke(app, ["doctor", PROJECT, REGION, *options, *words])


@pytest.mark.usefixtures("over_http")
def test_the_command_ends_with_0_or_1_and_names_what_is_wrong_and_what_mends_it(google: LoopbackGoogle) -> None:
    whole = serin("--json")
    assert whole.exit_code == 0, whole.output
    assert {each["state"] for each in json.loads(whole.output)} == {"fine"}
    del google.things[SUBSCRIPTION]
    lacking = serin()
    assert lacking.exit_code == 1
    assert "✗ subscription check_rows.data-uploaded: it is not there" in lacking.output
    assert "gcloud pubsub subscriptions create check_rows.data-uploaded --topic=data-uploaded" in lacking.output


def test_a_wrong_command_line_ends_with_2() -> None:
    assert CliRunner().invoke(app, ["doctor", PROJECT]).exit_code == 2
    assert CliRunner().invoke(app, ["doctor", PROJECT, REGION, "--nonsense"]).exit_code == 2
