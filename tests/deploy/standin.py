"""A stand-in for gcloud that answers at once and keeps what it was told to make, as far as deploy/ asks for it."""

import json
from collections.abc import Callable
from typing import Any

from deploy.gcloud import Answer
from deploy.steps import Command

_NUMBER = "123456789012"


class StandIn:
    """Everything made so far is in `made` (kind and name to flags) and `policies` (kind and name to role, member)."""

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.state = state or {"made": {}, "policies": {}, "services": [], "notifications": []}
        self.commands: list[Command] = []

    def __call__(self, command: Command, /) -> Answer:
        self.commands.append(command)
        for words, act in _ACTS.items():
            if command[: len(words)] == words:
                return act(self, *_split(command[len(words) :]))
        for verb in ("describe", "create", "update", "delete", "add-iam-policy-binding", "get-iam-policy"):
            if verb in command:
                at = command.index(verb)
                names, flags = _split(command[at + 1 :])
                return getattr(self, f"_{verb.replace('-', '_')}")(" ".join(command[:at]), names, flags)
        return Answer(2, err=f"unknown command {command}")

    def _key(self, kind: str, names: list[str]) -> str:
        return f"{kind} {names[-1]}"

    def _describe(self, kind: str, names: list[str], flags: dict[str, str]) -> Answer:
        found = self.state["made"].get(self._key(kind, names))
        if found is None:
            return Answer(1, err="NOT_FOUND: Resource not found")
        if flags.get("format") == "value(versioning_enabled)":
            return Answer(0, str("versioning" in found))
        return Answer(0, json.dumps({"filter": found.get("message-filter", "")}))

    def _create(self, kind: str, names: list[str], flags: dict[str, str]) -> Answer:
        name = f"{names[-1]}@p-1.iam.gserviceaccount.com" if "service-accounts" in kind else names[-1]
        key = self._key(kind, [name])
        if key in self.state["made"]:
            return Answer(1, err="ALREADY_EXISTS: Resource already exists")
        # A file is read when the command runs; where it lay is nobody's matter afterwards.
        self.state["made"][key] = {name: value for name, value in flags.items() if name != "config-from-file"}
        return Answer(0)

    def _update(self, kind: str, names: list[str], flags: dict[str, str]) -> Answer:
        self.state["made"][self._key(kind, names)].update(flags)
        if "clear-retention-period" in flags:
            self.state["made"][self._key(kind, names)].pop("retention-period", None)
        return Answer(0)

    def _delete(self, kind: str, names: list[str], _flags: dict[str, str]) -> Answer:
        key = self._key(kind, names)
        self.state["policies"].pop(key, None)
        if self.state["made"].pop(key, None) is None:
            return Answer(1, err="NOT_FOUND: Resource not found")
        return Answer(0)

    def _add_iam_policy_binding(self, kind: str, names: list[str], flags: dict[str, str]) -> Answer:
        held = self.state["policies"].setdefault(self._key(kind, names), [])
        if [flags["role"], flags["member"]] not in held:
            held.append([flags["role"], flags["member"]])
        return Answer(0)

    def _get_iam_policy(self, kind: str, names: list[str], _flags: dict[str, str]) -> Answer:
        held = self.state["policies"].get(self._key(kind, names), [])
        return Answer(0, json.dumps({"bindings": [{"role": role, "members": [member]} for role, member in held]}))

    def _enable(self, names: list[str], _flags: dict[str, str]) -> Answer:
        self.state["services"] = sorted({*self.state["services"], *names})
        return Answer(0)

    def _enabled(self, _names: list[str], _flags: dict[str, str]) -> Answer:
        return Answer(0, "\n".join(self.state["services"]))

    def _fine(self, _names: list[str], _flags: dict[str, str]) -> Answer:
        return Answer(0)

    def _project(self, _names: list[str], _flags: dict[str, str]) -> Answer:
        return Answer(0, _NUMBER)

    def _revoke(self, names: list[str], flags: dict[str, str]) -> Answer:
        held = self.state["policies"].get(f"projects {names[-1]}", [])
        if [flags["role"], flags["member"]] not in held:
            return Answer(1, err="Policy binding not found")
        held.remove([flags["role"], flags["member"]])
        return Answer(0)

    def _notify(self, _names: list[str], flags: dict[str, str]) -> Answer:
        self.state["notifications"].append({"topic": f"//pubsub.googleapis.com/projects/p-1/topics/{flags['topic']}"})
        return Answer(0)

    def _notifications(self, _names: list[str], _flags: dict[str, str]) -> Answer:
        return Answer(0, json.dumps(self.state["notifications"]))

    def _unnotify(self, _names: list[str], _flags: dict[str, str]) -> Answer:
        self.state["notifications"] = []
        return Answer(0)

    def _empty(self, names: list[str], _flags: dict[str, str]) -> Answer:
        if "retention-period" in self.state["made"].get(f"storage buckets {names[-1]}", {}):
            return Answer(1, err="retentionPolicyNotMet")
        return self._delete("storage buckets", names, {})

    def _deploy(self, names: list[str], flags: dict[str, str]) -> Answer:
        self.state["made"][f"functions {names[-1]}"] = {k: v for k, v in flags.items() if k != "source"}
        return Answer(0)

    def _function(self, names: list[str], flags: dict[str, str]) -> Answer:
        found = self.state["made"].get(f"functions {names[-1]}")
        if found is None:
            return Answer(1, err="NOT_FOUND: Function not found")
        if flags.get("format") == "value(serviceConfig.uri)":
            return Answer(0, f"https://{names[-1]}.example.run.app")
        return Answer(0, json.dumps({"labels": dict([found["update-labels"].split("=", 1)])}))

    def _undeploy(self, names: list[str], flags: dict[str, str]) -> Answer:
        self.state["policies"].pop(f"run services {names[-1]}", None)
        return self._delete("functions", names, flags)


def _split(arguments: Command) -> tuple[list[str], dict[str, str]]:
    flags = dict(each[2:].partition("=")[::2] for each in arguments if each.startswith("--"))
    return [each for each in arguments if not each.startswith("--")], flags


_ACTS: dict[Command, Callable[..., Answer]] = {
    ("services", "enable"): StandIn._enable,
    ("services", "list"): StandIn._enabled,
    ("beta", "services", "identity", "create"): StandIn._fine,
    ("storage", "service-agent"): StandIn._fine,
    ("projects", "describe"): StandIn._project,
    ("projects", "remove-iam-policy-binding"): StandIn._revoke,
    ("storage", "buckets", "notifications", "create"): StandIn._notify,
    ("storage", "buckets", "notifications", "list"): StandIn._notifications,
    ("storage", "buckets", "notifications", "delete"): StandIn._unnotify,
    ("storage", "rm"): StandIn._empty,
    ("functions", "deploy"): StandIn._deploy,
    ("functions", "describe"): StandIn._function,
    ("functions", "delete"): StandIn._undeploy,
}
