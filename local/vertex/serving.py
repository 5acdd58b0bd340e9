"""Serving containers: started with the environment that Vertex AI sets, watched, and started again when they end.

started ──► asked for health until 200 ──► ready ──► ended ──► pause ──┐
   ▲           └ ended before: pause, longer each time                 │
   └───────────────────────────────────────────────────────────────────┘
"""

import asyncio
import contextlib
from dataclasses import dataclass

from local import fields
from local.containers import Containers
from local.errors import CloudError, Status
from local.fields import Document
from local.processes import Child, free_port
from local.vertex.http_client import Answer, HttpClient

_HEALTH_SECONDS = 5.0
_LOOK_SECONDS = 0.05
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
_TRIES = 3  # of a container that ends before it was ever ready, until its deployment fails
_STOP_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Recipe:
    """What a model's container is started from; `log` is the name of what it writes."""

    log: str
    image: str
    arguments: tuple[str, ...]
    variables: dict[str, str]
    health_route: str
    predict_route: str
    port_variable: str = "AIP_HTTP_PORT"


def recipe_of(endpoint: str, deployed: str, version: Document) -> Recipe:
    """Reads a model version as one of an endpoint's deployed models; routes have Vertex AI's defaults."""
    number = endpoint.rsplit("/", 1)[-1]
    own = {"AIP_ENDPOINT_ID": number, "AIP_DEPLOYED_MODEL_ID": deployed}
    return _recipe(
        f"serving-{number}-{deployed}", endpoint, f"endpoints/{number}/deployedModels/{deployed}", version, own
    )


def batch_recipe_of(job: str, version: Document) -> Recipe:
    """Reads a model version as what a batch prediction job asks: deployed nowhere, so it is told of no endpoint."""
    number = job.rsplit("/", 1)[-1]
    return _recipe(f"batch-{number}", job, f"batchPredictionJobs/{number}", version, {})


def _recipe(log: str, owner: str, place: str, version: Document, own: dict[str, str]) -> Recipe:
    container = fields.part(version, "containerSpec")
    health = fields.text(container, "healthRoute") or f"/v1/{place}"
    predict = fields.text(container, "predictRoute") or f"/v1/{place}:predict"
    vertex = {
        "AIP_MODE": "PREDICTION",
        "AIP_PROJECT_NUMBER": owner.split("/")[1],
        **own,
        "AIP_STORAGE_URI": version["_artefacts"],
        "AIP_HEALTH_ROUTE": health,
        "AIP_PREDICT_ROUTE": predict,
    }
    arguments = (*fields.texts(container, "command"), *fields.texts(container, "args"))
    return Recipe(log, container["imageUri"], arguments, {**fields.environment(container), **vertex}, health, predict)


class Replica:
    """One deployed model's container, kept running from `keep` until `end`."""

    def __init__(self, recipe: Recipe, containers: Containers) -> None:
        self.recipe = recipe
        self._containers = containers
        self._child: Child | None = None
        self._client: HttpClient | None = None
        self._is_ready = False
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def ready(self, timeout_seconds: float) -> None:
        """Returns once the container was healthy; FAILED_PRECONDITION if it never is."""
        done, _ = await asyncio.wait({self._first}, timeout=timeout_seconds)
        if not done:
            raise CloudError(Status.FAILED_PRECONDITION, "Model server never became ready. Please see its log.")
        await self._first

    async def predict(self, body: bytes, content_type: str, timeout_seconds: float) -> Answer:
        """The container's answer to a prediction."""
        return await self.ask("POST", self.recipe.predict_route, timeout_seconds, body, content_type)

    async def ask(self, method: str, target: str, timeout_seconds: float, body: bytes, content_type: str) -> Answer:
        """The container's answer; UNAVAILABLE while it is not ready, DEADLINE_EXCEEDED when it is too slow."""
        if self._client is None or not self._is_ready:
            raise CloudError(Status.UNAVAILABLE, "The deployed model is not ready.")
        try:
            return await self._client.ask(method, target, timeout_seconds, body, content_type)
        except TimeoutError as error:
            raise CloudError(Status.DEADLINE_EXCEEDED, "The deployed model took too long.") from error
        except ConnectionError as error:
            raise CloudError(Status.UNAVAILABLE, "The deployed model does not answer.") from error

    @property
    def is_starting(self) -> bool:
        """Whether it has neither been ready yet nor failed to be."""
        return not self._first.done()

    async def end(self) -> None:
        """Stops the container, letting it finish what it has accepted."""
        await self.leave()
        if self._child is not None:
            await asyncio.to_thread(self._containers.processes.stop, self._child, _STOP_GRACE_SECONDS)
        self.close()

    async def leave(self) -> None:
        """Stops watching; the container itself runs on."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        if self._first.done():
            self._first.exception()
        else:
            self._first.cancel()

    async def _keep(self) -> None:
        failures = 0
        while True:
            was_ready = await self._live()
            failures = 0 if was_ready else failures + 1
            if failures >= _TRIES and not self._first.done():
                message = "Model server exited unexpectedly. Please see its log."
                self._first.set_exception(CloudError(Status.FAILED_PRECONDITION, message))
            await asyncio.sleep(min(_FIRST_PAUSE_SECONDS * 2**failures, _LONGEST_PAUSE_SECONDS))

    async def _live(self) -> bool:
        """One life of the container, from start to end; whether it was ready in between."""
        port = free_port()
        variables = {**self.recipe.variables, self.recipe.port_variable: str(port)}
        try:
            self._child = self._containers.start(self.recipe.image, self.recipe.arguments, variables, self.recipe.log)
        except CloudError:
            return False
        self._client = HttpClient(port)
        self._is_ready = was_ready = await self._is_healthy(self._client, self._child)
        if was_ready and not self._first.done():
            self._first.set_result(None)
        await self._child.ended()
        self.close()
        return was_ready

    async def _is_healthy(self, client: HttpClient, child: Child) -> bool:
        """Asks until the container says 200, or has ended."""
        while child.poll() is None:
            with contextlib.suppress(ConnectionError, TimeoutError):
                if (await client.ask("GET", self.recipe.health_route, _HEALTH_SECONDS)).status == 200:
                    return True
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    def close(self) -> None:
        """Lets go of the connections to the container."""
        self._is_ready = False
        if self._client is not None:
            self._client.close()
            self._client = None


class Serving:
    """The replicas of every deployed model, by endpoint and deployed model's id."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._replicas: dict[tuple[str, str], Replica] = {}

    def keep(self, endpoint: str, deployed: str, version: Document) -> Replica:
        """Starts a container, unless it is there."""
        key = (endpoint, deployed)
        if key not in self._replicas:
            self._replicas[key] = Replica(recipe_of(endpoint, deployed, version), self._containers)
        return self._replicas[key]

    def replica(self, endpoint: str, deployed: str) -> Replica:
        return self._replicas[(endpoint, deployed)]

    async def drop(self, endpoint: str, deployed: str) -> None:
        """Ends a container, if it is there."""
        replica = self._replicas.pop((endpoint, deployed), None)
        if replica is not None:
            await replica.end()

    async def stop(self) -> None:
        """Stops watching all; the processes are the caller's to end."""
        for replica in self._replicas.values():
            await replica.leave()
            replica.close()
