"""Everything that Serin is on Google Cloud, in the order in which it can be made, from the one wiring table."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from deploy import source
from deploy.steps import Command, Look, Step, bound, field

SERVICES = (
    "aiplatform",
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudscheduler",
    "iam",
    "logging",
    "monitoring",
    "pubsub",
    "run",
    "secretmanager",
    "storage",
)
PUSHER = "serin-push"
TRAINER = "serin-training"
REPOSITORY = "serin"
_RETENTION_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Target:
    """Where to deploy, and what differs between installations."""

    project: str
    region: str
    key: str = ""  # a customer-managed key for the buckets
    notify_secret: str = ""  # NAME:VERSION in Secret Manager, holding SERIN_NOTIFY_URLS
    channels_secret: str = ""  # the same, holding SERIN_NOTIFY_CHANNELS
    training_image: str = ""  # by digest
    serving_image: str = ""
    buckets: tuple[str, str, str] | None = None  # data, state and artefacts, where they have other names

    @property
    def data(self) -> str:
        return self.buckets[0] if self.buckets else f"{self.project}-serin-data"

    @property
    def state(self) -> str:
        return self.buckets[1] if self.buckets else f"{self.project}-serin-state"

    @property
    def artefacts(self) -> str:
        return self.buckets[2] if self.buckets else f"{self.project}-serin-artefacts"

    def account(self, name: str) -> str:
        return f"serviceAccount:{self.email(name)}"

    def email(self, name: str) -> str:
        return f"{name}@{self.project}.iam.gserviceaccount.com"


def deployed_name(function: str) -> str:
    """A function's name on Google Cloud, which knows no underscores there."""
    return function.replace("_", "-")


def account_of(function: str) -> str:
    """The name of a function's own service account."""
    return f"serin-{deployed_name(function)}"


def plan(target: Target, table: dict[str, Any]) -> tuple[Step, ...]:
    """Every step, each before those that need it."""
    return (
        *_services(),
        *_accounts(target, table),
        *_buckets(target),
        *_topics(table),
        *_notification(target, table),
        _repository(target),
        *_roles(target, table),
        *_functions(target, table),
        *_subscriptions(target, table),
        _clock(target, table),
        *_metrics(table),
    )


def _services() -> Iterator[Step]:
    names = tuple(f"{each}.googleapis.com" for each in SERVICES)
    yield Step(
        "the services that Serin uses",
        (("services", "enable", *names),),
        Look(
            ("services", "list", "--enabled", "--format=value(config.name)"),
            lambda answer: set(names) <= set(answer.split()),
        ),
    )
    yield Step(
        "the service agents of Pub/Sub and Cloud Storage",
        (
            ("beta", "services", "identity", "create", "--service=pubsub.googleapis.com"),
            ("storage", "service-agent"),
        ),
    )


def _accounts(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    for name in (PUSHER, TRAINER, *map(account_of, table["functions"])):
        email = target.email(name)
        accounts = ("iam", "service-accounts")
        yield Step(
            f"service account {name}",
            ((*accounts, "create", name, f"--display-name={name}"),),
            Look((*accounts, "describe", email, "--format=json")),
            ((*accounts, "delete", email),),
        )


def _buckets(target: Target) -> Iterator[Step]:
    key = (f"--default-encryption-key={target.key}",) if target.key else ()
    wanted = (
        (target.data, ("--soft-delete-duration=0",), (("--versioning",),)),
        (target.state, (f"--retention-period={_RETENTION_SECONDS}s",), ()),
        (target.artefacts, (), ()),
    )
    for name, flags, updates in wanted:
        url = f"gs://{name}"
        lift = (("storage", "buckets", "update", url, "--clear-retention-period"),) if name == target.state else ()
        create = ("storage", "buckets", "create", url, f"--location={target.region}", "--uniform-bucket-level-access")
        yield Step(
            f"bucket {name}",
            ((*create, "--public-access-prevention", *flags, *key),),
            Look(("storage", "buckets", "describe", url, "--format=json")),
            (*lift, ("storage", "rm", "--recursive", url)),
        )
        for update in updates:
            yield Step(
                f"object versions in bucket {name}",
                (("storage", "buckets", "update", url, *update),),
                Look(
                    ("storage", "buckets", "describe", url, "--format=value(versioning_enabled)"),
                    lambda answer: answer.strip().lower() == "true",
                ),
            )


def _topics(table: dict[str, Any]) -> Iterator[Step]:
    for topic in table["topics"]:
        topics = ("pubsub", "topics")
        yield Step(
            f"topic {topic}",
            ((*topics, "create", topic),),
            Look((*topics, "describe", topic, "--format=json")),
            ((*topics, "delete", topic),),
        )


def _notification(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    topic = table["data_uploaded"]
    yield _role(
        ("pubsub", "topics"),
        topic,
        "roles/pubsub.publisher",
        "serviceAccount:service-{number}@gs-project-accounts.iam.gserviceaccount.com",
    )
    notifications = ("storage", "buckets", "notifications")
    bucket = f"gs://{target.data}"
    create = (*notifications, "create", bucket, f"--topic={topic}", "--event-types=OBJECT_FINALIZE")
    yield Step(
        f"the notification of bucket {target.data}",
        ((*create, "--payload-format=json", "--skip-topic-setup"),),
        Look((*notifications, "list", bucket, "--format=json"), lambda answer: f"/topics/{topic}" in answer),
        ((*notifications, "delete", bucket),),
    )


def _repository(target: Target) -> Step:
    there = (REPOSITORY, f"--location={target.region}")
    return Step(
        f"the image repository {REPOSITORY}",
        (("artifacts", "repositories", "create", *there, "--repository-format=docker"),),
        Look(("artifacts", "repositories", "describe", *there, "--format=json")),
        (("artifacts", "repositories", "delete", *there),),
    )


def _role(group: Command, name: str, role: str, member: str, *flags: str) -> Step:
    """One role of one member on one thing; goes with the thing it is on."""
    return Step(
        f"{role} on {' '.join(group)} {name} for {member}",
        ((*group, "add-iam-policy-binding", name, f"--member={member}", f"--role={role}", *flags),),
        Look(
            (*group, "get-iam-policy", name, *(f for f in flags if not f.startswith("--condition")), "--format=json"),
            bound(role, member),
        ),
    )


def _roles(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    for function, duty in table["functions"].items():
        member = target.account(account_of(function))
        yield from _may_write(target.state, member)
        for topic in duty["publishes"]:
            yield _role(("pubsub", "topics"), topic, "roles/pubsub.publisher", member)
        for reads, bucket in (("reads_data", target.data), ("reads_artefacts", target.artefacts)):
            if duty[reads]:
                yield _bucket_role(bucket, "roles/storage.objectViewer", member)
        if duty["writes_artefacts"]:
            yield _bucket_role(target.artefacts, "roles/storage.objectCreator", member)
        if duty["uses_vertex"]:
            yield _project_role(target, "roles/aiplatform.user", member)
        if function == "reconcile":  # which tells the end of a failed job's log
            yield _project_role(target, "roles/logging.viewer", member)
        if duty["starts_jobs"]:
            accounts = ("iam", "service-accounts")
            yield _role(accounts, target.email(TRAINER), "roles/iam.serviceAccountUser", member)
        for secret in _secrets(target).values() if function == "notify" else ():
            yield _role(("secrets",), secret.split(":")[0], "roles/secretmanager.secretAccessor", member)
    yield from _trainer(target)
    yield from _dead_letter_roles(table)


def _trainer(target: Target) -> Iterator[Step]:
    member = target.account(TRAINER)
    yield _bucket_role(target.data, "roles/storage.objectViewer", member)
    yield from _may_write(target.artefacts, member)
    yield from _may_write(target.state, member)
    for topic in ("evaluation-completed", "training-failed"):
        yield _role(("pubsub", "topics"), topic, "roles/pubsub.publisher", member)
    yield _project_role(target, "roles/logging.logWriter", member)


def _may_write(bucket: str, member: str) -> Iterator[Step]:
    """Create and read, but neither overwrite nor delete: the ledger's rule, held by IAM too."""
    for role in ("roles/storage.objectCreator", "roles/storage.objectViewer"):
        yield _bucket_role(bucket, role, member)


def _bucket_role(bucket: str, role: str, member: str) -> Step:
    return _role(("storage", "buckets"), f"gs://{bucket}", role, member)


def _project_role(target: Target, role: str, member: str) -> Step:
    granted = _role(("projects",), target.project, role, member, "--condition=None")
    revoke = ("projects", "remove-iam-policy-binding", target.project, f"--member={member}", f"--role={role}")
    return Step(granted.title, granted.make, granted.look, ((*revoke, "--condition=None"),))


_PUBSUB_AGENT = "serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"


def _dead_letter_roles(table: dict[str, Any]) -> Iterator[Step]:
    yield _role(("pubsub", "topics"), table["dead_letters"], "roles/pubsub.publisher", _PUBSUB_AGENT)


def _functions(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    for function, duty in table["functions"].items():
        name = deployed_name(function)
        flags = _function_flags(target, table, function, duty)
        version = source.digest(source.files_of(function), *flags)
        place = f"--region={target.region}"
        label = f"--update-labels=serin-source={version}"
        yield Step(
            f"function {name}",
            (("functions", "deploy", name, "--gen2", place, *flags, f"--source={{source:{function}}}", label),),
            Look(
                ("functions", "describe", name, "--gen2", place, "--format=json"),
                field("labels.serin-source", version),
            ),
            (("functions", "delete", name, "--gen2", place),),
        )
        yield _role(("run", "services"), name, "roles/run.invoker", target.account(PUSHER), place)


def _function_flags(target: Target, table: dict[str, Any], function: str, duty: dict[str, Any]) -> Command:
    values = {
        "GOOGLE_CLOUD_PROJECT": target.project,
        "SERIN_REGION": target.region,
        "SERIN_DATA_BUCKET": target.data,
        "SERIN_STATE_BUCKET": target.state,
        "SERIN_ARTEFACTS_BUCKET": target.artefacts,
        "SERIN_TRAINING_IMAGE": target.training_image,
        "SERIN_SERVING_IMAGE": target.serving_image,
        "SERIN_TRAINING_SERVICE_ACCOUNT": target.email(TRAINER),
    }
    secrets = _secrets(target) if function == "notify" else {}
    return (
        "--runtime=python311",
        f"--entry-point={function}",
        "--trigger-http",
        "--no-allow-unauthenticated",
        "--ingress-settings=internal-only",
        f"--run-service-account={target.email(account_of(function))}",
        f"--memory={duty['memory_mebibytes']}Mi",
        f"--timeout={table['function_timeout_seconds']}s",
        "--concurrency=1",
        "--set-env-vars=" + ",".join(f"{name}={value}" for name, value in values.items() if value),
        *(("--set-secrets=" + ",".join(f"{name}={secret}" for name, secret in secrets.items()),) if secrets else ()),
    )


def _secrets(target: Target) -> dict[str, str]:
    """The variables of notify that hold secrets, and where each is kept."""
    named = {"SERIN_NOTIFY_URLS": target.notify_secret, "SERIN_NOTIFY_CHANNELS": target.channels_secret}
    return {name: secret for name, secret in named.items() if secret}


def _subscriptions(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    group = ("pubsub", "subscriptions")
    for each in table["subscriptions"]:
        dead = each["topic"] != table["dead_letters"]
        yield Step(
            f"subscription {each['name']}",
            ((*group, "create", each["name"], *_subscription_flags(target, table, each, dead)),),
            Look((*group, "describe", each["name"], "--format=json"), field("filter", each["filter"])),
            ((*group, "delete", each["name"]),),
            frozen="a subscription's filter cannot be changed: delete the subscription and run this again",
        )
        if dead:
            yield _role(group, each["name"], "roles/pubsub.subscriber", _PUBSUB_AGENT)


def _subscription_flags(target: Target, table: dict[str, Any], each: dict[str, str], dead: bool) -> Command:
    uri = f"{{uri:{deployed_name(each['function'])}}}"
    letters = (
        f"--dead-letter-topic={table['dead_letters']}",
        f"--max-delivery-attempts={table['max_delivery_attempts']}",
    )
    return (
        f"--topic={each['topic']}",
        f"--push-endpoint={uri}/projects/{target.project}/topics/{each['topic']}",
        f"--push-auth-service-account={target.email(PUSHER)}",
        f"--push-auth-token-audience={uri}",
        f"--ack-deadline={table['ack_deadline_seconds']}",
        f"--min-retry-delay={table['retry_min_seconds']}s",
        f"--max-retry-delay={table['retry_max_seconds']}s",
        "--expiration-period=never",
        *((f"--message-filter={each['filter']}",) if each["filter"] else ()),
        *(letters if dead else ()),
    )


def _metrics(table: dict[str, Any]) -> Iterator[Step]:
    group = ("logging", "metrics")
    for metric in table["metrics"]:
        name = metric["name"]
        yield Step(
            f"metric {name}",
            ((*group, "create", name, f"--config-from-file={{metric:{name}}}"),),
            Look((*group, "describe", name, "--format=json")),
            ((*group, "delete", name),),
        )


def _clock(target: Target, table: dict[str, Any]) -> Step:
    jobs = ("scheduler", "jobs")
    place = f"--location={target.region}"
    create = (*jobs, "create", "pubsub", "serin-clock", place, f"--schedule={table['tick_schedule']}")
    return Step(
        "the clock",
        ((*create, "--time-zone=UTC", f"--topic={table['clock_ticked']}", "--message-body={}"),),
        Look((*jobs, "describe", "serin-clock", place, "--format=json")),
        ((*jobs, "delete", "serin-clock", place),),
    )
