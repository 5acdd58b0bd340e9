"""What Google's documents leave open: each answer is a switch, so that Serin can be tested under every one of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_type_hints

from local.errors import Status

NEW_VERSION = "NEW_VERSION"


@dataclass(frozen=True)
class Durations:
    """How long things take at least, in seconds; nothing takes longer than it must unless it is asked for."""

    job_pending_seconds: float = 0.0
    upload_seconds: float = 0.0
    deploy_seconds: float = 0.0
    undeploy_seconds: float = 0.0

    def of(self, operation: str) -> float:
        """The least duration of an operation of this kind."""
        kinds: Mapping[str, float] = {
            "upload": self.upload_seconds, "deploy": self.deploy_seconds, "undeploy": self.undeploy_seconds
        }  # fmt: skip
        return kinds[operation]


# What people report of Google Cloud: a machine is found, an image pulled, artefacts copied.
REALISTIC = Durations(job_pending_seconds=180, upload_seconds=60, deploy_seconds=600, undeploy_seconds=30)


@dataclass(frozen=True)
class Switches:
    """How Vertex AI answers where its documentation does not say.

    repeated_deployed_model  the status of a deployment under an id that the endpoint has already
    existing_model           what an upload under the id of an existing model is: refused, or one more version
    honours_etags            whether an endpoint's update under an old etag is refused at all
    changed_endpoint         the status of that refusal
    overdue_job              the state in which a job ends that runs beyond its timeout
    ready_seconds            how long a container may take to become healthy before its deployment fails
    durations                how long operations take, and jobs wait, at least
    """

    repeated_deployed_model: Literal[Status.ALREADY_EXISTS, Status.INVALID_ARGUMENT] = Status.ALREADY_EXISTS
    existing_model: Literal["ALREADY_EXISTS", "NEW_VERSION"] = "ALREADY_EXISTS"
    honours_etags: bool = True
    changed_endpoint: Literal[Status.ABORTED, Status.FAILED_PRECONDITION] = Status.ABORTED
    overdue_job: Literal["JOB_STATE_FAILED", "JOB_STATE_CANCELLED"] = "JOB_STATE_FAILED"
    ready_seconds: float = 120.0
    durations: Durations = field(default_factory=Durations)


def switches_of(named: Iterable[str], durations: Durations) -> Switches:
    """Reads NAME=VALUE as a command line gives them; ValueError with what a switch may be."""
    hints, values = get_type_hints(Switches), {}
    for each in named:
        name, _, text = each.partition("=")
        if name not in hints or name == "durations":
            known = ", ".join(one.name for one in fields(Switches) if one.name != "durations")
            raise ValueError(f"there is no switch {name!r}: {known}")
        values[name] = _read(name, hints[name], text)
    return Switches(**values, durations=durations)


def _read(name: str, hint: Any, text: str) -> Any:
    if hint is float:
        return float(text)
    choices = {"true": True, "false": False} if hint is bool else {str(choice): choice for choice in get_args(hint)}
    if text not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not {text!r}")
    return choices[text]
