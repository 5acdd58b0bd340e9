"""Who may do what: one binding per step, on the one thing it is needed for wherever Google allows that."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from deploy.custom_roles import needed, role_name
from deploy.steps import Command, Look, Step, bound, thing
from deploy.target import BUILDER, REPOSITORY, SERVER, TRAINER, Target, account_of

# Whoever changes a service acts as its account, also to move traffic.
_ACTS_AS_SERVER = {"vertex.deploy", "run.deploy", "run.set_split", "run.undeploy"}
_NAMES_IMAGES = {"run.create_job", "run.deploy"}
PUBSUB_AGENT = "serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"


def role(group: Command, name: str, granted: str, member: str, *flags: str) -> Step:
    """One role of one member on one thing; goes with the thing it is on."""
    return Step(
        f"{granted} on {' '.join(group)} {name} for {member}",
        ((*group, "add-iam-policy-binding", name, f"--member={member}", f"--role={granted}", *flags),),
        Look(
            (*group, "get-iam-policy", name, *(f for f in flags if not f.startswith("--condition")), "--format=json"),
            bound(granted, member),
            says=lambda _: "the role is not granted",
        ),
        together="roles",
        on=thing(group, name),
    )


def bucket_role(bucket: str, granted: str, member: str) -> Step:
    return role(("storage", "buckets"), f"gs://{bucket}", granted, member)


def project_role(target: Target, granted: str, member: str) -> Step:
    return _taken_back(role(("projects",), target.project, granted, member, "--condition=None"))


def _taken_back(step: Step) -> Step:
    """A role on what outlives us, and is therefore revoked in the end."""
    revoked = (tuple(word.replace("add-iam", "remove-iam") for word in command) for command in step.make)
    return replace(step, remove=tuple(revoked))


def roles(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """Every role of every function, of training, of serving, of building and of Pub/Sub's dead letters."""
    for function, duty in table["functions"].items():
        yield from _function(target, function, duty)
    yield from _trainer(target)
    yield from _server(target)
    for granted in ("roles/logging.logWriter", "roles/storage.objectViewer"):
        yield project_role(target, granted, target.account(BUILDER))
    yield role(("pubsub", "topics"), table["dead_letters"], "roles/pubsub.publisher", PUBSUB_AGENT)


def _function(target: Target, function: str, duty: dict[str, Any]) -> Iterator[Step]:
    member = target.account(account_of(function))
    yield from _may_write(target.state, member)
    for topic in duty["publishes"]:
        yield role(("pubsub", "topics"), topic, "roles/pubsub.publisher", member)
    for reads, bucket in (("reads_data", target.data), ("reads_artefacts", target.artefacts)):
        if duty[reads]:
            yield bucket_role(bucket, "roles/storage.objectViewer", member)
    if duty["writes_artefacts"]:
        yield bucket_role(target.artefacts, "roles/storage.objectCreator", member)
    if needed(duty):  # what it is about is made by functions, so there is nothing narrower than the project to name
        yield project_role(target, role_name(target, function), member)
    if _NAMES_IMAGES & set(duty["cloud_run"]):
        place = f"--location={target.region}"
        yield role(("artifacts", "repositories"), REPOSITORY, "roles/artifactregistry.reader", member, place)
    if _ACTS_AS_SERVER & {*duty["vertex"], *duty["cloud_run"]}:
        yield role(("iam", "service-accounts"), target.email(SERVER), "roles/iam.serviceAccountUser", member)
    if duty["starts_jobs"]:
        yield role(("iam", "service-accounts"), target.email(TRAINER), "roles/iam.serviceAccountUser", member)
    for secret in target.secrets.values() if function == "notify" else ():
        yield _taken_back(role(("secrets",), secret.split(":")[0], "roles/secretmanager.secretAccessor", member))


def _server(target: Target) -> Iterator[Step]:
    """What serves a model, on either backend: it reads the model and the key of its receipts, and reports evidence."""
    member = target.account(SERVER)
    for bucket in (target.artefacts, target.state):
        yield bucket_role(bucket, "roles/storage.objectViewer", member)
    yield role(("pubsub", "topics"), "evidence-reported", "roles/pubsub.publisher", member)
    yield project_role(target, "roles/logging.logWriter", member)


def _trainer(target: Target) -> Iterator[Step]:
    member = target.account(TRAINER)
    yield bucket_role(target.data, "roles/storage.objectViewer", member)
    yield from _may_write(target.artefacts, member)
    yield from _may_write(target.state, member)
    for topic in ("evaluation-completed", "training-failed"):
        yield role(("pubsub", "topics"), topic, "roles/pubsub.publisher", member)
    yield project_role(target, "roles/logging.logWriter", member)


def _may_write(bucket: str, member: str) -> Iterator[Step]:
    """Create and read, but neither overwrite nor delete: the ledger's rule, held by IAM too."""
    for granted in ("roles/storage.objectCreator", "roles/storage.objectViewer"):
        yield bucket_role(bucket, granted, member)
