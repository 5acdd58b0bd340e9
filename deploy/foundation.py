"""What everything else stands on: services, accounts, buckets, topics, notification, image repository, clock."""

from collections.abc import Iterator
from typing import Any

from deploy.roles import PUBSUB_AGENT, bucket_role, role
from deploy.steps import Look, Step, bound, thing
from deploy.target import BUILDER, PUSHER, REPOSITORY, SERVER, TRAINER, Target, account_of

SERVICES = (
    "aiplatform",
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
)
STORAGE_AGENT = "serviceAccount:service-{number}@gs-project-accounts.iam.gserviceaccount.com"
_RETENTION_SECONDS = 7 * 24 * 3600


def services(target: Target) -> Iterator[Step]:
    """The APIs, and the agents in whose name Google's services act."""
    optional = (("cloudkms", target.key), ("binaryauthorization", target.binary_authorization))
    names = tuple(f"{each}.googleapis.com" for each in (*SERVICES, *(name for name, used in optional if used)))
    yield Step(
        "the services that Serin uses",
        (("services", "enable", *names),),
        Look(
            ("services", "list", "--enabled", "--format=value(config.name)"),
            lambda answer: set(names) <= set(answer.split()),
        ),
    )
    yield Step(
        "the service agent of Pub/Sub",
        (("beta", "services", "identity", "create", "--service=pubsub.googleapis.com"),),
        # Google grants the agent this role when it makes it.
        Look(
            ("projects", "get-iam-policy", target.project, "--format=json"),
            bound("roles/pubsub.serviceAgent", PUBSUB_AGENT),
        ),
    )
    asked = ("storage", "service-agent")  # it is made by being asked for
    yield Step(
        "the service agent of Cloud Storage", (asked,), Look(asked, lambda answer: "gs-project-accounts" in answer)
    )


def accounts(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """One service account per function, and one each for pushing, training, serving and building."""
    for name in (PUSHER, TRAINER, SERVER, BUILDER, *map(account_of, table["functions"])):
        email = target.email(name)
        group = ("iam", "service-accounts")
        yield Step(
            f"service account {name}",
            ((*group, "create", name, f"--display-name={name}"),),
            Look((*group, "describe", email, "--format=json"), among=(*group, "list", "--format=json(email)")),
            ((*group, "delete", email),),
            together="service accounts",
            thing=thing(group, email),
        )


def buckets(target: Target) -> Iterator[Step]:
    """Data with versions of its objects, state that nobody may shorten, artefacts, and what builds leave."""
    key = (f"--default-encryption-key={target.key}",) if target.key else ()
    if target.key:
        yield role(("kms", "keys"), target.key, "roles/cloudkms.cryptoKeyEncrypterDecrypter", STORAGE_AGENT)
    at_once = ("--soft-delete-duration=0",)  # rows of persons lie there: what is deleted is to be gone
    wanted = (
        (target.data, at_once),
        (target.state, (f"--retention-period={_RETENTION_SECONDS}s",)),
        (target.artefacts, at_once),
        (target.builds, ()),
    )
    for name, flags in wanted:
        url = f"gs://{name}"
        lift = (("storage", "buckets", "update", url, "--clear-retention-period"),) if name == target.state else ()
        create = ("storage", "buckets", "create", url, f"--location={target.region}", "--uniform-bucket-level-access")
        yield Step(
            f"bucket {name}",
            ((*create, "--public-access-prevention", *flags, *key),),
            Look(
                ("storage", "buckets", "describe", url, "--format=json"),
                among=("storage", "buckets", "list", "--format=json(name,location)"),
            ),
            (*lift, ("storage", "rm", "--recursive", url)),
            together="buckets",
            thing=thing(("storage", "buckets"), url),
        )
    yield _versions(f"gs://{target.data}")


def _versions(url: str) -> Step:
    return Step(
        f"object versions in bucket {url.removeprefix('gs://')}",
        (("storage", "buckets", "update", url, "--versioning"),),
        Look(
            ("storage", "buckets", "describe", url, "--format=value(versioning_enabled)"),
            lambda answer: answer.strip().lower() == "true",
        ),
    )


def topics(table: dict[str, Any]) -> Iterator[Step]:
    """Every topic of the wiring."""
    for topic in table["topics"]:
        group = ("pubsub", "topics")
        yield Step(
            f"topic {topic}",
            ((*group, "create", topic),),
            Look((*group, "describe", topic, "--format=json"), among=(*group, "list", "--format=json(name)")),
            ((*group, "delete", topic),),
            together="topics",
            thing=thing(group, topic),
        )


def notification(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """The data bucket's one notification; a second would double every event."""
    topic = table["data_uploaded"]
    yield role(("pubsub", "topics"), topic, "roles/pubsub.publisher", STORAGE_AGENT)
    notifications = ("storage", "buckets", "notifications")
    bucket = f"gs://{target.data}"
    create = (*notifications, "create", bucket, f"--topic={topic}", "--event-types=OBJECT_FINALIZE")
    yield Step(
        f"the notification of bucket {target.data}",
        ((*create, "--payload-format=json", "--skip-topic-setup"),),
        Look((*notifications, "list", bucket, "--format=json"), lambda answer: f"/topics/{topic}" in answer),
        ((*notifications, "delete", bucket),),
    )


def repository(target: Target) -> Iterator[Step]:
    """Where the images and the built functions lie, and what those who build may do there and elsewhere."""
    there = (REPOSITORY, f"--location={target.region}")
    group = ("artifacts", "repositories")
    builder = target.account(BUILDER)
    yield Step(
        f"the image repository {REPOSITORY}",
        ((*group, "create", *there, "--repository-format=docker"),),
        Look((*group, "describe", *there, "--format=json")),
        ((*group, "delete", *there),),
        thing=thing(group, REPOSITORY),
    )
    yield role(group, REPOSITORY, "roles/artifactregistry.writer", builder, there[1])
    yield bucket_role(target.artefacts, "roles/storage.objectViewer", builder)


def clock(target: Target, table: dict[str, Any]) -> Step:
    """The Scheduler job that makes reconcile look."""
    jobs = ("scheduler", "jobs")
    place = f"--location={target.region}"
    create = (*jobs, "create", "pubsub", "serin-clock", place, f"--schedule={table['tick_schedule']}")
    return Step(
        "the clock",
        ((*create, "--time-zone=UTC", f"--topic={table['clock_ticked']}", "--message-body={}"),),
        Look((*jobs, "describe", "serin-clock", place, "--format=json")),
        ((*jobs, "delete", "serin-clock", place),),
    )
