"""Every function, who may call it, and the push subscriptions that bring it its events."""

from collections.abc import Iterator
from typing import Any

from deploy import images, source
from deploy.roles import PUBSUB_AGENT, role
from deploy.steps import Command, Look, Step, both, field, thing
from deploy.target import BUILDER, PUSHER, REPOSITORY, SERVER, TRAINER, Target, account_of, deployed_name


def functions(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """The functions, several at once because a build takes minutes; then the one account that may call them."""
    place = f"--region={target.region}"
    for function, duty in table["functions"].items():
        name = deployed_name(function)
        flags = _flags(target, table, function, duty)
        label = f"--update-labels=serin-source={version(target, function, flags)}"
        yield Step(
            f"function {name}",
            (("functions", "deploy", name, "--gen2", place, *flags, f"--source={{source:{function}}}", label),),
            Look(
                ("functions", "describe", name, "--gen2", place, "--format=json"),
                # A deployment that failed leaves a function with the labels of what it should have become.
                both(field("labels.serin-source", version(target, function, flags)), field("state", "ACTIVE")),
                among=("functions", "list", "--v2", f"--regions={target.region}", "--format=json(name,labels,state)"),
            ),
            (("functions", "delete", name, "--gen2", place),),
            together="functions",
            thing=thing(("run", "services"), name),
        )
    for function in table["functions"]:
        member = target.account(PUSHER)
        yield role(("run", "services"), deployed_name(function), "roles/run.invoker", member, place)


def version(target: Target, function: str, flags: Command) -> str:
    """A hash of all that a function's deployment depends on: files, flags and the images that it names."""
    return source.digest(source.files_of(function), *flags, *(images.named(target, each) for each in images.NAMES))


def _flags(target: Target, table: dict[str, Any], function: str, duty: dict[str, Any]) -> Command:
    values = {
        "GOOGLE_CLOUD_PROJECT": target.project,
        "SERIN_REGION": target.region,
        "SERIN_DATA_BUCKET": target.data,
        "SERIN_STATE_BUCKET": target.state,
        "SERIN_ARTEFACTS_BUCKET": target.artefacts,
        "SERIN_TRAINING_IMAGE": images.used(target, "training_image"),
        "SERIN_SERVING_IMAGE": images.used(target, "serving_image"),
        "SERIN_TRAINING_SERVICE_ACCOUNT": target.email(TRAINER),
        "SERIN_SERVING_SERVICE_ACCOUNT": target.email(SERVER),
        "SERIN_PUSH_ACCOUNT": target.email(PUSHER),
        "SERIN_PUSH_AUDIENCE": target.audience(function),
        "SERIN_IMAGES": "by-digest",
        "SERIN_BINARY_AUTHORIZATION": "default" if target.binary_authorization else "",
    }
    secrets = target.secrets if function == "notify" else {}
    place = f"projects/{target.project}/locations/{target.region}"
    return (
        "--runtime=python311",
        f"--entry-point={function}",
        "--trigger-http",
        "--no-allow-unauthenticated",
        "--ingress-settings=internal-only",
        f"--run-service-account={target.email(account_of(function))}",
        f"--build-service-account=projects/{target.project}/serviceAccounts/{target.email(BUILDER)}",
        f"--docker-repository={place}/repositories/{REPOSITORY}",
        f"--memory={duty['memory_mebibytes']}Mi",
        f"--timeout={table['function_timeout_seconds']}s",
        "--concurrency=1",
        *(("--binary-authorization=default",) if target.binary_authorization else ()),
        "--set-env-vars=" + ",".join(f"{name}={value}" for name, value in values.items() if value),
        *(("--set-secrets=" + ",".join(f"{name}={secret}" for name, secret in secrets.items()),) if secrets else ()),
    )


def subscriptions(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """Every push subscription of the wiring, with what Pub/Sub needs to give up a message of it."""
    group = ("pubsub", "subscriptions")
    for each in table["subscriptions"]:
        yield Step(
            f"subscription {each['name']}",
            ((*group, "create", each["name"], *_subscription_flags(target, table, each)),),
            Look(
                (*group, "describe", each["name"], "--format=json"),
                field("filter", each["filter"]),
                among=(*group, "list", "--format=json(name,filter)"),
            ),
            ((*group, "delete", each["name"]),),
            frozen="a subscription's filter cannot be changed: delete the subscription and run this again",
            together="subscriptions",
            thing=thing(group, each["name"]),
        )
    for each in table["subscriptions"]:
        if each["topic"] != table["dead_letters"]:
            yield role(group, each["name"], "roles/pubsub.subscriber", PUBSUB_AGENT)


def _subscription_flags(target: Target, table: dict[str, Any], each: dict[str, str]) -> Command:
    uri = f"{{uri:{deployed_name(each['function'])}}}"
    letters = (
        f"--dead-letter-topic={table['dead_letters']}",
        f"--max-delivery-attempts={table['max_delivery_attempts']}",
    )
    return (
        f"--topic={each['topic']}",
        f"--push-endpoint={uri}/projects/{target.project}/topics/{each['topic']}",
        f"--push-auth-service-account={target.email(PUSHER)}",
        f"--push-auth-token-audience={target.audience(each['function'])}",
        f"--ack-deadline={table['ack_deadline_seconds']}",
        f"--min-retry-delay={table['retry_min_seconds']}s",
        f"--max-retry-delay={table['retry_max_seconds']}s",
        "--expiration-period=never",
        *((f"--message-filter={each['filter']}",) if each["filter"] else ()),
        *(letters if each["topic"] != table["dead_letters"] else ()),
    )
