"""What must stand after a deployment, said once more from the wiring's own table and not from the deployment's plan."""

from collections.abc import Mapping
from typing import Any

from shared import wiring
from shared.foreign import CLOCK_TICKED, DATA_UPLOADED, DEAD_LETTERS
from tests.deploy.googles_permissions import permitted
from tests.deploy.loopback.kinds import uri
from tests.deploy.loopback.state import NUMBER, PROJECT, State

REGION = "europe-west1"
DATA, STATE, ARTEFACTS = (f"{PROJECT}-serin-{each}" for each in ("data", "state", "artefacts"))
_HERE = f"projects/{PROJECT}/locations/{REGION}"
_PUBSUB = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
_STORAGE = f"serviceAccount:service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
Bindings = dict[str, set[tuple[str, str]]]


def differences(state: State, secrets: Mapping[str, str]) -> list[str]:
    """Everything in which a project differs from the wiring; `secrets`: the variables of notify and their secrets."""
    found = {
        "topics": (_names(state, "topics"), {f"projects/{PROJECT}/topics/{each}" for each in wiring.TOPICS}),
        "subscriptions": (_shown(state, "subscriptions", _subscription_of), _subscriptions()),
        "accounts": (_names(state, "serviceAccounts"), {f"projects/{PROJECT}/serviceAccounts/{e}" for e in _emails()}),
        "functions": (_shown(state, "functions", _function_of), _functions(secrets)),
        "buckets": (_buckets_of(state), _buckets()),
        "notifications": (_notifications_of(state), [(DATA, DATA_UPLOADED, ["OBJECT_FINALIZE"], "JSON_API_V1")]),
        "clock": (_shown(state, "jobs", _job_of), {"serin-clock": (wiring.TICK_SCHEDULE, "UTC", CLOCK_TICKED, "e30=")}),
        "metrics": ({n.rpartition("/")[2] for n in _names(state, "metrics")}, {each.name for each in wiring.METRICS}),
        "custom roles": (_shown(state, "roles", _role_of), _custom_roles()),
        "roles": (_bindings_of(state), _bindings(secrets)),
    }
    return [f"{what}: {stands} is not {wanted}" for what, (stands, wanted) in found.items() if stands != wanted]


def _names(state: State, collection: str) -> set[str]:
    return {name for name in state.resources if name.split("/")[-2] == collection}


def _shown(state: State, collection: str, show: Any) -> dict[str, Any]:
    return {name.rpartition("/")[2]: show(state.resources[name]) for name in _names(state, collection)}


def _deployed(function: str) -> str:
    return function.replace("_", "-")


def _email(name: str) -> str:
    return f"serin-{_deployed(name)}@{PROJECT}.iam.gserviceaccount.com"


def _audience(function: str) -> str:
    return f"https://{REGION}-{PROJECT}.cloudfunctions.net/{_deployed(function)}"


def _emails() -> set[str]:
    return {_email(each) for each in (*wiring.FUNCTIONS, "push", "training", "serving", "build")}


def _subscription_of(found: Any) -> tuple[Any, ...]:
    push, letters = found["pushConfig"], found.get("deadLetterPolicy", {})
    return (
        found["topic"],
        found.get("filter", ""),
        push["pushEndpoint"],
        (push["oidcToken"]["serviceAccountEmail"], push["oidcToken"]["audience"]),
        (found["retryPolicy"]["minimumBackoff"], found["retryPolicy"]["maximumBackoff"]),
        (letters.get("deadLetterTopic"), letters.get("maxDeliveryAttempts")),
        found["ackDeadlineSeconds"],
        found["expirationPolicy"],
    )


def _subscriptions() -> dict[str, Any]:
    wanted: dict[str, Any] = {}
    for each in wiring.SUBSCRIPTIONS:
        topic, address = f"projects/{PROJECT}/topics/{each.topic}", uri(_deployed(each.function))
        letters = (f"projects/{PROJECT}/topics/{DEAD_LETTERS}", wiring.MAX_DELIVERY_ATTEMPTS)
        wanted[each.name] = (
            topic,
            each.filter,
            f"{address}/{topic}",
            (_email("push"), _audience(each.function)),
            (f"{wiring.RETRY_MIN_SECONDS:.0f}s", f"{wiring.RETRY_MAX_SECONDS:.0f}s"),
            (None, None) if each.topic == DEAD_LETTERS else letters,
            600,
            {},  # never
        )
    return wanted


def _function_of(found: Any) -> tuple[Any, ...]:
    config, build = found["serviceConfig"], found["buildConfig"]
    secrets = {
        each["key"]: f"{each['secret']}:{each['version']}" for each in config.get("secretEnvironmentVariables", [])
    }
    values = config["environmentVariables"]
    digests = {name: "@sha256:" in values.get(name, "") for name in ("SERIN_TRAINING_IMAGE", "SERIN_SERVING_IMAGE")}
    plain = {name: value for name, value in values.items() if name not in digests}
    return (
        (config["serviceAccountEmail"], build["serviceAccount"].rpartition("/")[2]),
        (build["runtime"], build["entryPoint"]),
        (config["ingressSettings"], config["timeoutSeconds"], config["availableMemory"]),
        plain,
        digests,
        secrets,
    )


def _functions(secrets: Mapping[str, str]) -> dict[str, Any]:
    plain = {
        "GOOGLE_CLOUD_PROJECT": PROJECT,
        "SERIN_REGION": REGION,
        "SERIN_DATA_BUCKET": DATA,
        "SERIN_STATE_BUCKET": STATE,
        "SERIN_ARTEFACTS_BUCKET": ARTEFACTS,
        "SERIN_TRAINING_SERVICE_ACCOUNT": _email("training"),
        "SERIN_SERVING_SERVICE_ACCOUNT": _email("serving"),
        "SERIN_PUSH_ACCOUNT": _email("push"),
        "SERIN_IMAGES": "by-digest",
    }
    return {
        _deployed(each): (
            (_email(each), _email("build")),
            ("python311", each),
            ("ALLOW_INTERNAL_ONLY", wiring.FUNCTION_TIMEOUT_SECONDS, f"{wiring.MEMORY_MEBIBYTES[each]}Mi"),
            {**plain, "SERIN_PUSH_AUDIENCE": _audience(each)},
            {"SERIN_TRAINING_IMAGE": True, "SERIN_SERVING_IMAGE": True},
            dict(secrets) if each == "notify" else {},
        )
        for each in wiring.FUNCTIONS
    }


def _buckets_of(state: State) -> dict[str, Any]:
    found = {}
    for name, each in state.resources.items():
        if name.startswith("b/") and name.count("/") == 1:
            access, retention = each["iamConfiguration"], each.get("retentionPolicy", {})
            found[each["name"]] = (
                each["location"],
                each.get("versioning", {}).get("enabled", False),
                (access["uniformBucketLevelAccess"]["enabled"], access["publicAccessPrevention"]),
                (retention.get("retentionPeriod"), retention.get("isLocked", False)),
                each.get("softDeletePolicy", {}).get("retentionDurationSeconds"),
            )
    return found


def _buckets() -> dict[str, Any]:
    closed = (True, "enforced")
    return {
        DATA: (REGION, True, closed, (None, False), "0"),
        STATE: (REGION, False, closed, (str(7 * 24 * 3600), False), None),
        ARTEFACTS: (REGION, False, closed, (None, False), "0"),
        f"{PROJECT}-serin-builds": (REGION, False, closed, (None, False), None),
    }


def _notifications_of(state: State) -> list[Any]:
    found = [each for name, each in state.resources.items() if "/notificationConfigs/" in name]
    return [
        (each["name"].split("/")[1], each["topic"].rpartition("/")[2], each["event_types"], each["payload_format"])
        for each in found
    ]


def _job_of(found: Any) -> tuple[Any, ...]:
    target = found["pubsubTarget"]
    return found["schedule"], found["timeZone"], target["topicName"].rpartition("/")[2], target["data"]


def _role_of(found: Any) -> tuple[Any, ...]:
    return sorted(found["includedPermissions"]), found["stage"], found.get("deleted", False)


def _custom_roles() -> dict[str, Any]:
    held = {function: permitted(function) for function in wiring.FUNCTIONS}
    return {f"serin.{function}": (sorted(names), "GA", False) for function, names in held.items() if names}


def _bindings_of(state: State) -> Bindings:
    return {
        name: {(each["role"], member) for each in policy["bindings"] for member in each["members"]}
        for name, policy in state.policies.items()
        if policy.get("bindings")
    }


_CHANGES_SERVICES = {"run.create_service", "run.deploy", "run.set_split", "run.undeploy"}


def _bindings(secrets: Mapping[str, str]) -> Bindings:
    wanted: Bindings = {}

    def may(email: str, role: str, *names: str) -> None:
        member = email if email.startswith("serviceAccount:") else f"serviceAccount:{email}"
        for name in names:
            wanted.setdefault(name, set()).add((f"roles/{role}", member))

    topics, project = f"projects/{PROJECT}/topics", f"projects/{PROJECT}"
    for function in wiring.FUNCTIONS:
        account = _email(function)
        may(account, "pubsub.publisher", *(f"{topics}/{each}" for each in wiring.may_publish(function)))
        may(account, "storage.objectCreator", f"b/{STATE}", *[f"b/{ARTEFACTS}"] * (function in wiring.WRITES_ARTEFACTS))
        may(account, "storage.objectViewer", f"b/{STATE}", *[f"b/{DATA}"] * (function in wiring.READS_DATA),
            *[f"b/{ARTEFACTS}"] * (function in wiring.READS_ARTEFACTS))  # fmt: skip
        asked = wiring.CLOUD_RUN.get(function, frozenset())
        if permitted(function):
            wanted.setdefault(project, set()).add((f"{project}/roles/serin.{function}", f"serviceAccount:{account}"))
        server = f"{project}/serviceAccounts/{_email('serving')}"
        may(account, "iam.serviceAccountUser", *[server] * bool(_CHANGES_SERVICES & asked))
        images = f"{_HERE}/repositories/serin"
        may(account, "artifactregistry.reader", *[images] * bool({"run.deploy", "run.create_job"} & asked))
        trainer = f"{project}/serviceAccounts/{_email('training')}"
        may(account, "iam.serviceAccountUser", *[trainer] * (function in wiring.STARTS_JOBS))
        may(_email("push"), "run.invoker", f"{_HERE}/services/{_deployed(function)}")
    held = [f"{project}/secrets/{each.split(':')[0]}" for each in secrets.values()]
    may(_email("notify"), "secretmanager.secretAccessor", *held)
    may(_email("training"), "storage.objectViewer", f"b/{DATA}", f"b/{STATE}", f"b/{ARTEFACTS}")
    may(_email("training"), "storage.objectCreator", f"b/{STATE}", f"b/{ARTEFACTS}")
    may(_email("training"), "pubsub.publisher", f"{topics}/evaluation-completed", f"{topics}/training-failed")
    may(_email("training"), "logging.logWriter", project)
    may(_email("serving"), "storage.objectViewer", f"b/{STATE}", f"b/{ARTEFACTS}")
    may(_email("serving"), "pubsub.publisher", f"{topics}/evidence-reported")
    may(_email("serving"), "logging.logWriter", project)
    may(_email("build"), "logging.logWriter", project)
    may(_email("build"), "storage.objectViewer", project, f"b/{ARTEFACTS}")
    may(_email("build"), "artifactregistry.writer", f"{_HERE}/repositories/serin")
    may(_STORAGE, "pubsub.publisher", f"{topics}/{DATA_UPLOADED}")
    may(_PUBSUB, "pubsub.serviceAgent", project)
    may(_PUBSUB, "pubsub.publisher", f"{topics}/{DEAD_LETTERS}")
    for each in wiring.SUBSCRIPTIONS:
        if each.topic != DEAD_LETTERS:
            may(_PUBSUB, "pubsub.subscriber", f"{project}/subscriptions/{each.name}")
    return wanted
