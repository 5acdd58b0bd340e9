"""Where a model is served, as a setting: what is asked of a serving backend, whichever it is.

An endpoint is one address that answers for a model; on it stand deployed models under ids of our choice, and a split
says who answers how much. Vertex AI calls these endpoint, DeployedModel and traffic split, Cloud Run service, revision
and traffic. docs/decisions/cloud-run.md says how the promises about traffic hold on both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is now: `deployed` maps a deployed model's id to its model version, `split` ids to percent.

    While a change of the split is still being carried out, `split` tells of each id the larger of what it has and what
    it is to have, and so does not add up: whoever has or may get traffic is named. `failed` are those that were
    ordered and never came to stand: what is left of them may cost, and `undeploy` takes it away.
    """

    name: str
    etag: str
    split: Mapping[str, int] = field(default_factory=dict)
    deployed: Mapping[str, str] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()

    def holds(self, deployed_model: str) -> bool:
        """Whether there is anything of it to be taken away."""
        return deployed_model in self.deployed or deployed_model in self.failed


@dataclass(frozen=True)
class Operation:
    """A long-running operation as it is now; `ended` is the server's time, None where it does not say."""

    name: str
    done: bool
    error: str = ""
    ended: datetime | None = None


@dataclass(frozen=True)
class Machine:
    """What one deployed model runs on: a machine type on Vertex AI; CPU and memory on Cloud Run."""

    machine_type: str
    replicas: tuple[int, int] = (1, 1)
    cpu: str = "1"
    memory: str = "2Gi"


@dataclass(frozen=True)
class Address:
    """Where predictions are asked for, with the headers that say who is asking."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ServingBackend(Protocol):
    """What Serin asks of what serves its models. Raises Transient, Conflict or Refused."""

    def endpoint(self, endpoint: str) -> Endpoint | None:
        """The endpoint with this id, or None if it has to be created first."""

    def create_endpoint(self, endpoint: str) -> Operation: ...

    def deploy(
        self, endpoint: str, deployed_model: str, version: str, machine: Machine, split: Mapping[str, int]
    ) -> Operation:
        """Starts a deployment under an id of our choice; an empty split leaves the traffic as it is."""

    def undeploy(self, endpoint: str, deployed_model: str) -> Operation:
        """Takes a deployed model away; Refused while it has traffic that another could have, or if it is not there."""

    def set_split(self, endpoint: Endpoint, split: Mapping[str, int]) -> Endpoint:
        """Replaces the whole split, under the etag that was read; Conflict if the endpoint has changed since."""

    def predict(self, endpoint: str, instances: Sequence[Any], parameters: Mapping[str, Any]) -> list[Any]: ...

    def address(self, endpoint: str) -> Address:
        """Where clients ask, as whoever runs this process; Refused where nothing is deployed."""

    def operation(self, name: str) -> Operation: ...
