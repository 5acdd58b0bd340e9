"""A stand-in for gcloud that answers at once and keeps what it was told to make, as far as deploy/ asks for it.

That the plan cannot tell its answers from gcloud's own is held by the recordings of a real run: test_recordings.py.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deploy.gcloud import Answer
from deploy.steps import Command

NUMBER = "123456789012"
PROJECT = "p-1"
_VERBS = (
    "add-iam-policy-binding", "create", "delete", "deploy", "describe", "enable", "get-iam-policy", "list",
    "remove-iam-policy-binding", "rm", "service-agent", "submit", "undelete", "update",
)  # fmt: skip
Flags = Mapping[str, str]
Binding = tuple[str, str]  # role and member


@dataclass(frozen=True)
class Standing:
    """What stands in the project; never changed in place, so that a copy costs nothing."""

    made: Mapping[str, Flags]  # by "group name"
    policies: Mapping[str, frozenset[Binding]]
    services: frozenset[str] = frozenset()

    def named(self, group: str) -> dict[str, Flags]:
        """The flags of all things of a kind, by their names."""
        split = ((*key.rpartition(" ")[::2], flags) for key, flags in self.made.items())
        return {name: flags for kind, name, flags in split if kind == group}


class StandIn:
    """Everything made so far is in `standing`."""

    def __init__(self, standing: Standing | None = None) -> None:
        self.standing = standing or Standing({}, {})
        self.commands: list[Command] = []

    def __call__(self, command: Command, /) -> Answer:
        self.commands.append(command)
        at = next((at for at, word in enumerate(command) if word in _VERBS), None)
        if at is None:
            return Answer(2, err=f"unknown command {command}")
        group, verb = " ".join(command[:at]), command[at]
        names = [each for each in command[at + 1 :] if not each.startswith("--")]
        flags = dict(each[2:].partition("=")[::2] for each in command[at + 1 :] if each.startswith("--"))
        act = _ACTS.get(f"{group} {verb}") or getattr(StandIn, f"_{verb.replace('-', '_')}")
        answer: Answer = act(self, group, names, flags)
        return answer

    def change(self, group: str, name: str, flags: Flags | None) -> None:
        """A thing with these flags, or none and no policy on it."""
        key = f"{group} {name}"
        made = {each: held for each, held in self.standing.made.items() if each != key}
        if flags is not None:
            self.standing = replace(self.standing, made={**made, key: flags})
            return
        policies = {each: held for each, held in self.standing.policies.items() if each != key}
        self.standing = replace(self.standing, made=made, policies=policies)

    def _describe(self, group: str, names: list[str], flags: Flags) -> Answer:
        found = self.standing.made.get(f"{group} {names[0]}")
        if found is None:
            return Answer(1, err="NOT_FOUND: Resource not found")
        entry = _entry(group, names[0], found)
        asked = flags["format"].removeprefix("value(").removesuffix(")")
        return Answer(0, json.dumps(entry) if asked == "json" else str(entry.get(asked, "")))

    def _list(self, group: str, _names: list[str], _flags: Flags) -> Answer:
        return Answer(0, json.dumps([_entry(group, *each) for each in self.standing.named(group).items()]))

    def _create(self, group: str, names: list[str], flags: Flags) -> Answer:
        config = json.loads(Path(file).read_text()) if (file := _file(flags)) else {}
        name = names[-1] if names else config["labels" if "labels" in config else "userLabels"]["serin"]
        if group == "iam service-accounts":
            name = f"{name}@{PROJECT}.iam.gserviceaccount.com"
        if f"{group} {name}" in self.standing.made:
            return Answer(1, err="ALREADY_EXISTS: Resource already exists")
        kept = {each: value for each, value in flags.items() if not each.endswith("-from-file")}
        self.change(group, name, {**kept, "config": json.dumps(config)} if config else kept)
        return Answer(0)

    def _update(self, group: str, names: list[str], flags: Flags) -> Answer:
        changed = {**self.standing.made[f"{group} {names[0]}"], **flags}
        if "clear-retention-period" in flags:
            changed = {each: value for each, value in changed.items() if "retention-period" not in each}
        self.change(group, names[0], changed)
        return Answer(0)

    def _undelete(self, group: str, names: list[str], _flags: Flags) -> Answer:
        found = self.standing.made[f"{group} {names[0]}"]
        if "deleted" not in found:
            return Answer(1, err="FAILED_PRECONDITION: The role is not deleted.")
        self.change(group, names[0], {name: value for name, value in found.items() if name != "deleted"})
        return Answer(0)

    def _delete(self, group: str, names: list[str], _flags: Flags) -> Answer:
        name = names[0].rpartition("/")[2]
        if f"{group} {name}" not in self.standing.made:
            return Answer(1, err="NOT_FOUND: Resource not found")
        self.change(group, name, None)
        if group == "functions":
            self.change("run services", name, None)
        for image in self.standing.named("artifacts docker images") if group == "artifacts repositories" else ():
            self.change("artifacts docker images", image, None)
        return Answer(0)

    def _add_iam_policy_binding(self, group: str, names: list[str], flags: Flags) -> Answer:
        return self.bind(f"{group} {names[0]}", lambda held: held | {(flags["role"], flags["member"])})

    def _remove_iam_policy_binding(self, group: str, names: list[str], flags: Flags) -> Answer:
        binding = (flags["role"], flags["member"])
        if binding not in self.standing.policies.get(f"{group} {names[0]}", ()):
            return Answer(1, err="Policy binding with the specified principal, role, and condition not found!")
        return self.bind(f"{group} {names[0]}", lambda held: held - {binding})

    def bind(self, key: str, change: Callable[[frozenset[Binding]], frozenset[Binding]]) -> Answer:
        held = change(self.standing.policies.get(key, frozenset()))
        others = {each: bindings for each, bindings in self.standing.policies.items() if each != key}
        self.standing = replace(self.standing, policies={**others, key: held} if held else others)
        return Answer(0)

    def _get_iam_policy(self, group: str, names: list[str], _flags: Flags) -> Answer:
        held = sorted(self.standing.policies.get(f"{group} {names[0]}", ()))
        return Answer(0, json.dumps({"bindings": [{"role": role, "members": [member]} for role, member in held]}))

    def _enable(self, _group: str, names: list[str], _flags: Flags) -> Answer:
        self.standing = replace(self.standing, services=self.standing.services | set(names))
        return Answer(0)

    def _service_agent(self, _group: str, _names: list[str], _flags: Flags) -> Answer:
        return Answer(0, f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com")

    def _deploy(self, group: str, names: list[str], flags: Flags) -> Answer:
        self.change(group, names[0], {each: value for each, value in flags.items() if each != "source"})
        return Answer(0)

    def _submit(self, _group: str, _names: list[str], flags: Flags) -> Answer:
        for image in json.loads(Path(flags["config"]).read_text())["images"]:
            self.change("artifacts docker images", image, {})
        return Answer(0)

    def _rm(self, _group: str, names: list[str], _flags: Flags) -> Answer:
        if "retention-period" in self.standing.made.get(f"storage buckets {names[0]}", {}):
            return Answer(1, err="PERMISSION_DENIED: Object is subject to bucket's retention policy.")
        if f"storage buckets {names[0]}" not in self.standing.made:
            return Answer(1, err=f"{names[0]} not found: 404.")
        self.change("storage buckets notifications", names[0], None)
        self.change("storage buckets", names[0], None)
        return Answer(0)


def _file(flags: Flags) -> str:
    return next((value for name, value in flags.items() if name.endswith("-from-file")), "")


def uri(function: str) -> str:
    """Where a deployed function answers."""
    return f"https://{function}.example.run.app"


def _entry(group: str, name: str, flags: Flags) -> dict[str, Any]:
    """What gcloud shows of a thing, as far as a plan looks."""
    config = json.loads(flags.get("config", "{}"))
    match group:
        case "iam service-accounts":
            return {"email": name}
        case "iam roles":
            held = {"includedPermissions": flags["permissions"].split(","), "stage": flags["stage"]}
            gone = {"deleted": True} if "deleted" in flags else {}
            return {"name": f"projects/{PROJECT}/roles/{name}", **held, **gone}
        case "functions":
            label = flags["update-labels"].partition("=")[::2]
            service = {"uri": uri(name)}
            return {
                "name": name,
                "labels": dict([label]),
                "state": flags.get("state", "ACTIVE"),
                "serviceConfig": service,
            }
        case "pubsub subscriptions":
            return {"name": name, "filter": flags.get("message-filter", "")}
        case "storage buckets":
            return {"name": name.removeprefix("gs://"), "versioning_enabled": str("versioning" in flags)}
        case "logging metrics":
            return {"name": name, "description": config["description"]}
        case "alpha monitoring policies" | "monitoring dashboards":
            return {"name": f"projects/{PROJECT}/{name}", **config}
        case "artifacts docker images":
            return {"image_summary.fully_qualified_digest": f"{name.partition(':')[0]}@sha256:{'0' * 64}"}
        case _:
            return {"name": name}


def _enabled(gcloud: StandIn, _group: str, _names: list[str], _flags: Flags) -> Answer:
    return Answer(0, "\n".join(sorted(gcloud.standing.services)))


def _project(_gcloud: StandIn, _group: str, _names: list[str], _flags: Flags) -> Answer:
    return Answer(0, NUMBER)


def _identity(gcloud: StandIn, _group: str, _names: list[str], _flags: Flags) -> Answer:
    agent = f"serviceAccount:service-{NUMBER}@gcp-sa-pubsub.iam.gserviceaccount.com"
    return gcloud.bind(f"projects {PROJECT}", lambda held: held | {("roles/pubsub.serviceAgent", agent)})


def _notify(gcloud: StandIn, group: str, names: list[str], flags: Flags) -> Answer:
    before = gcloud.standing.made.get(f"{group} {names[0]}", {})
    topic = f"//pubsub.googleapis.com/projects/{PROJECT}/topics/{flags['topic']}"
    gcloud.change(group, names[0], {**before, str(len(before)): topic})
    return Answer(0)


def _notifications(gcloud: StandIn, group: str, names: list[str], _flags: Flags) -> Answer:
    found = gcloud.standing.made.get(f"{group} {names[0]}", {})
    return Answer(0, json.dumps([{"Notification Configuration": {"topic": topic}} for topic in found.values()]))


def _unnotify(gcloud: StandIn, group: str, names: list[str], _flags: Flags) -> Answer:
    gcloud.change(group, names[0], None)
    return Answer(0)


# What is not as everywhere else.
_ACTS: dict[str, Callable[[StandIn, str, list[str], Flags], Answer]] = {
    "services list": _enabled,
    "projects describe": _project,
    "beta services identity create": _identity,
    "storage buckets notifications create": _notify,
    "storage buckets notifications list": _notifications,
    "storage buckets notifications delete": _unnotify,
}
