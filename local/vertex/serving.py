"""The serving containers: started with the environment that Vertex AI sets, kept alive, asked over HTTP."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from local.errors import CloudError, Status
from local.processes import Child, free_port
from local.vertex.containers import Containers, variables_of

_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.2
_STARTS = 3  # a container that ends before it is ready is started again


@dataclass
class Replica:
    """One running container of a deployed model."""

    url: str
    predict_route: str
    health_route: str
    child: Child


class Serving:
    """The replicas of every deployed model, each restarted when it ends."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._replicas: dict[tuple[str, str], Replica] = {}
        self._wanted: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._http = urllib3.PoolManager(retries=False)
        self._keeper = threading.Thread(target=self._keep, name="serving-keeper", daemon=True)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        self._stopped.set()
        self._keeper.join()
        for key in list(self._replicas):
            self.undeploy(*key)

    def deploy(self, endpoint: str, deployed: str, version: Mapping[str, Any]) -> None:
        """Starts a container and waits until it is healthy; raises FAILED_PRECONDITION when it never is."""
        if not any(self._comes_up(endpoint, deployed, version) for _ in range(_STARTS)):
            self.undeploy(endpoint, deployed)
            raise CloudError(Status.FAILED_PRECONDITION, "Model server never became ready. Please see its logs.")
        with self._lock:
            self._wanted[(endpoint, deployed)] = version

    def _comes_up(self, endpoint: str, deployed: str, version: Mapping[str, Any]) -> bool:
        with self._lock:
            replica = self._start(endpoint, deployed, version)
        return self._healthy(replica)

    def undeploy(self, endpoint: str, deployed: str) -> None:
        """Ends a container, letting it finish what it has accepted."""
        with self._lock:
            self._wanted.pop((endpoint, deployed), None)
            replica = self._replicas.pop((endpoint, deployed), None)
        if replica is not None:
            self._containers.processes.stop(replica.child)

    def address(self, endpoint: str, deployed: str) -> str:
        """Where to send a prediction; UNAVAILABLE while the container is not there."""
        replica = self._replicas.get((endpoint, deployed))
        if replica is None or replica.child.poll() is not None:
            raise CloudError(Status.UNAVAILABLE, "The deployed model is being restarted.")
        return f"{replica.url}{replica.predict_route}"

    def restore(self, endpoint: str, deployed: str, version: Mapping[str, Any]) -> None:
        """Has the keeper start a container that was deployed before the service was killed."""
        with self._lock:
            self._wanted[(endpoint, deployed)] = version

    def _keep(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            with self._lock:
                for key, version in self._wanted.items():
                    replica = self._replicas.get(key)
                    if replica is None or replica.child.poll() is not None:
                        self._start(*key, version)

    def _start(self, endpoint: str, deployed: str, version: Mapping[str, Any]) -> Replica:
        container, port = version["containerSpec"], free_port()
        route = f"/v1/endpoints/{endpoint.rsplit('/', 1)[-1]}/deployedModels/{deployed}"
        health, predict = container.get("healthRoute") or route, container.get("predictRoute") or f"{route}:predict"
        variables = {
            "AIP_HTTP_PORT": str(port),
            "AIP_HEALTH_ROUTE": health,
            "AIP_PREDICT_ROUTE": predict,
            "AIP_STORAGE_URI": version["_artefacts"],
            "AIP_ENDPOINT_ID": endpoint.rsplit("/", 1)[-1],
            "AIP_DEPLOYED_MODEL_ID": deployed,
            "AIP_MODE": "PREDICTION",
            **variables_of(container),
        }
        name = f"serving-{endpoint.rsplit('/', 1)[-1]}-{deployed}"
        arguments = [*container.get("command", ()), *container.get("args", ())]
        child = self._containers.start(container["imageUri"], arguments, variables, name)
        replica = Replica(f"http://127.0.0.1:{port}", predict, health, child)
        self._replicas[(endpoint, deployed)] = replica
        return replica

    def _healthy(self, replica: Replica) -> bool:
        end = time.monotonic() + _READY_SECONDS
        while time.monotonic() < end and replica.child.poll() is None:
            try:
                answer = self._http.request("GET", f"{replica.url}{replica.health_route}", timeout=2.0)
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
                continue
            if answer.status == 200:
                return True
            time.sleep(0.05)
        return False
