"""What Google's documents leave open: each answer is a switch, so that Serin can be tested under every one of them."""

from dataclasses import dataclass
from typing import Literal

from local.errors import Status


@dataclass(frozen=True)
class Switches:
    """How Vertex AI answers where its documentation does not say.

    repeated_deployed_model  the status of a deployment under an id that the endpoint has already
    honours_etags            whether an endpoint's update under an old etag is refused at all
    changed_endpoint         the status of that refusal
    overdue_job              the state in which a job ends that runs beyond its timeout
    ready_seconds            how long a container may take to become healthy before its deployment fails
    """

    repeated_deployed_model: Literal[Status.ALREADY_EXISTS, Status.INVALID_ARGUMENT] = Status.ALREADY_EXISTS
    honours_etags: bool = True
    changed_endpoint: Literal[Status.ABORTED, Status.FAILED_PRECONDITION] = Status.ABORTED
    overdue_job: Literal["JOB_STATE_FAILED", "JOB_STATE_CANCELLED"] = "JOB_STATE_FAILED"
    ready_seconds: float = 120.0
