"""A role for each function that asks Vertex AI, Cloud Run or the log anything: what its effects need and no more.

Google's own roles are wider by hundreds of permissions. A deleted role's name cannot be used again for 37 days, so a
role is never deleted: without a binding it gives nobody anything (docs/decisions/custom-roles.md).
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from deploy.permissions import permissions
from deploy.steps import Command, Look, Step, thing
from deploy.target import Target, account_of

LEFT = (
    "the custom roles serin.… are left: without a binding they give nobody anything, and the next deployment needs them"
)
_GROUP = ("iam", "roles")
_RUNNING = ("--stage=GA", "--quiet")
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
    """The role of each function that needs one, found again and brought to hold what is wanted, whatever became of it.

    What it holds besides it keeps until all else stands: code that is about to be replaced may still need it.
    """
    for function, duty in table["functions"].items():
        if needed(duty):
            yield _custom_role(target, function, needed(duty))


def _custom_role(target: Target, function: str, wanted: tuple[str, ...]) -> Step:
    named = (role_id(function), f"--project={target.project}")
    make = (*_GROUP, "create", *named, f"--title=Serin {function}", _these(wanted), *_RUNNING)
    undelete = (*_GROUP, "undelete", *named)

    def brought_up(answer: str) -> tuple[Command, ...]:
        """One that was deleted gave nobody anything, so that it loses nothing by being cut at once."""
        if json.loads(answer).get("deleted"):
            return undelete, _updated(target, function, wanted)
        return (_updated(target, function, {*wanted, *_held(answer)}),)

    return Step(
        f"custom role {role_id(function)}",
        (make,),
        Look(_described(target, function), lambda answer: not _missing(answer, wanted), says=_missing_of(wanted)),
        change=brought_up,
        may=(undelete, _updated(target, function, (*wanted, "…"))),
        together="custom roles",
    )


def cut_roles(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """What a role holds too much, taken out of it: after the functions, whose code may have needed it until then."""
    for function, duty in table["functions"].items():
        if needed(duty):
            yield _cut_role(target, function, needed(duty))


def _cut_role(target: Target, function: str, wanted: tuple[str, ...]) -> Step:
    update = _updated(target, function, wanted)
    return Step(
        f"surplus permissions of custom role {role_id(function)}",
        (),
        Look(
            _described(target, function),
            lambda answer: not _surplus(answer, wanted),
            says=lambda answer: f"it holds {_list(_surplus(answer, wanted))} besides",
        ),
        change=lambda _: (update,),
        may=(update,),
        together="surplus permissions of custom roles",
        stays=True,
    )


def _described(target: Target, function: str) -> Command:
    return (*_GROUP, "describe", role_id(function), f"--project={target.project}", "--format=json")


def _updated(target: Target, function: str, permissions: Iterable[str]) -> Command:
    return (*_GROUP, "update", role_id(function), f"--project={target.project}", _these(permissions), *_RUNNING)


def _these(permissions: Iterable[str]) -> str:
    return f"--permissions={','.join(sorted(permissions))}"


def _held(answer: str) -> set[str]:
    return set(json.loads(answer or "{}").get("includedPermissions", []))


def _surplus(answer: str, wanted: tuple[str, ...]) -> set[str]:
    """What a role holds too much; a deleted one, which is cut when it is brought back, nothing."""
    return set() if json.loads(answer or "{}").get("deleted") else _held(answer) - set(wanted)


def _missing_of(wanted: tuple[str, ...]) -> Callable[[str], str]:
    return lambda answer: _missing(answer, wanted)


def _missing(answer: str, wanted: tuple[str, ...]) -> str:
    """What keeps a role from giving what is wanted, in words; nothing if it gives that."""
    found = json.loads(answer or "{}")
    lacking = set(wanted) - _held(answer)
    differences = {
        "it is deleted": bool(found.get("deleted")),
        f"its stage is {found.get('stage', 'ALPHA')}, not GA": found.get("stage") != "GA",
        f"it lacks {_list(lacking)}": bool(lacking),
    }
    return "; ".join(difference for difference, there in differences.items() if there)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def superseded(target: Target, table: dict[str, Any]) -> Iterator[Step]:
    """What earlier deployments gave functions on the project and this plan does not, taken back from each of them.

    Comes last in a plan: the new roles have had the time of a deployment to become known before the old ones go.
    """
    for function, duty in table["functions"].items():
        yield _taken_back(target, account_of(function), role_name(target, function) if needed(duty) else "")


def _taken_back(target: Target, account: str, own: str) -> Step:
    group, member = ("projects",), target.account(account)
    revoke = (*group, "remove-iam-policy-binding", target.project, f"--member={member}", "--condition=None")

    def standing(answer: str) -> list[str]:
        return sorted(each for each in _given(answer, member) - {own} if _is_ours(target, each))

    return Step(
        f"roles of earlier deployments taken from {account}",
        (),
        Look(
            (*group, "get-iam-policy", target.project, "--format=json"),
            lambda answer: not standing(answer),
            says=lambda answer: f"still granted: {_list(standing(answer))}",
        ),
        change=lambda answer: tuple((*revoke, f"--role={role}") for role in standing(answer)),
        may=((*revoke, f"--role={'|'.join((*_SUPERSEDED, role_name(target, '…')))}"),),
        together="roles of earlier deployments",
        on=thing(group, target.project),
    )


def _given(answer: str, member: str) -> set[str]:
    """The roles that a policy gives a member; what is given under a condition was not given by us."""
    bindings = json.loads(answer or "{}").get("bindings", [])
    return {each["role"] for each in bindings if member in each["members"] and "condition" not in each}


def _is_ours(target: Target, role: str) -> bool:
    return role in _SUPERSEDED or role.startswith(role_name(target, ""))
