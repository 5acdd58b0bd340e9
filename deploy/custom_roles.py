"""A role for each function that asks Vertex AI, Cloud Run or the log anything: what its effects need and no more.

Google's own roles are wider by hundreds of permissions. A deleted role's name cannot be used again for 37 days, so a
role is never deleted: without a binding it gives nobody anything (docs/decisions/custom-roles.md).
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from deploy.permissions import permissions
from deploy.steps import Command, Look, Step, thing
from deploy.target import Target, account_of

LEFT = (
    "the custom roles serin.… are left: without a binding they give nobody anything, and the next deployment needs them"
)
_GROUP = ("iam", "roles")
# What earlier deployments gave functions on the project in the place of a role of their own.
_SUPERSEDED = (
    "roles/aiplatform.user",
    "roles/logging.viewer",
    "roles/run.developer",
    "roles/run.invoker",
    "roles/run.jobsExecutor",
    "roles/run.viewer",
)


def role_id(function: str) -> str:
    """The name of a function's role within its project."""
    return f"serin.{function}"


def role_name(target: Target, function: str) -> str:
    """The full name of a function's role, as a binding names it."""
    return f"projects/{target.project}/roles/{role_id(function)}"


def needed(duty: dict[str, Any]) -> tuple[str, ...]:
    """The permissions of a function's role, by its row of the wiring's table; none: it has no role."""
    return permissions({*duty["vertex"], *duty["cloud_run"]})


def custom_roles(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """The role of each function that needs one, found again and brought to plan whatever became of it."""
    for function, duty in table["functions"].items():
        if needed(duty):
            yield _custom_role(target, function, needed(duty))


def _custom_role(target: Target, function: str, wanted: tuple[str, ...]) -> Step:
    named, differing = (role_id(function), f"--project={target.project}"), _differing(wanted)
    as_planned = (f"--permissions={','.join(wanted)}", "--stage=GA", "--quiet")
    return Step(
        f"custom role {role_id(function)}",
        ((*_GROUP, "create", *named, f"--title=Serin {function}", *as_planned),),
        Look((*_GROUP, "describe", *named, "--format=json"), lambda answer: not differing(answer), says=differing),
        change=_brought_to_plan((*_GROUP, "undelete", *named), (*_GROUP, "update", *named, *as_planned)),
        together="custom roles",
    )


def _brought_to_plan(undelete: Command, update: Command) -> Callable[[str], tuple[Command, ...]]:
    return lambda answer: (undelete, update) if json.loads(answer).get("deleted") else (update,)


def _differing(wanted: tuple[str, ...]) -> Callable[[str], str]:
    """In what a role differs from the plan, in words; nothing if it does not."""

    def told(answer: str) -> str:
        found = json.loads(answer or "{}")
        held = set(found.get("includedPermissions", []))
        differences = {
            "it is deleted": bool(found.get("deleted")),
            f"its stage is {found.get('stage', 'ALPHA')}, not GA": found.get("stage") != "GA",
            f"it lacks {_list(set(wanted) - held)}": bool(set(wanted) - held),
            f"it holds {_list(held - set(wanted))} besides": bool(held - set(wanted)),
        }
        return "; ".join(difference for difference, there in differences.items() if there)

    return told


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def superseded(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """What earlier deployments gave, taken back from whoever has a role of its own.

    Comes last in a plan: the new roles have had the time of a deployment to become known before the old ones go.
    """
    for function, duty in table["functions"].items():
        if needed(duty):
            yield _taken_back(target, account_of(function))


def _taken_back(target: Target, account: str) -> Step:
    group, member = ("projects",), target.account(account)
    revoke = (*group, "remove-iam-policy-binding", target.project, f"--member={member}", "--condition=None")
    return Step(
        f"roles of earlier deployments taken from {account}",
        (),
        Look(
            (*group, "get-iam-policy", target.project, "--format=json"),
            lambda answer: not _standing(answer, member),
            says=lambda answer: f"still granted: {_list(_standing(answer, member))}",
        ),
        change=lambda answer: tuple((*revoke, f"--role={role}") for role in sorted(_standing(answer, member))),
        together="roles of earlier deployments",
        on=thing(group, target.project),
    )


def _standing(answer: str, member: str) -> set[str]:
    """Which of the superseded roles a policy gives a member; what is given under a condition was not given by us."""
    bindings = json.loads(answer or "{}").get("bindings", [])
    ours = (each for each in bindings if member in each["members"] and "condition" not in each)
    return {each["role"] for each in ours} & set(_SUPERSEDED)
