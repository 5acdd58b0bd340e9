"""The story in one process: the real functions, training and serving in the world in memory, on a clock of its own."""

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from cli.demo.acts import SETTINGS, on
from cli.demo.stage import MODEL
from cli.demo.story import Act, Story, Traffic, cut
from cli.demo.traffic import REQUESTS_PER_SECOND, ROWS_PER_REQUEST
from shared.envelope import Envelope, decode
from shared.events import Event, OutcomesObserved
from shared.jobs import Job, TrainingBackend
from shared.rollouts import production_endpoint
from shared.serving import ServingBackend
from shared.settings import Backend, object_name
from shared.step import publish
from tests.world.cloud import MemoryCloud
from tests.world.replica import Replica, replica
from tests.world.running import drop, settle, tick
from training_image.job import read_order, run_job

_MAX_ROUNDS = 200
_MAX_LABELS = 1000


class Theatre:
    """Where the story is played without servers: nothing happens unless the test says so."""

    def __init__(self, seed: int, backend: Backend = "vertex") -> None:
        self.backend = backend
        self.cloud = MemoryCloud({"SERIN_LEASE_SECONDS": "5", "SERIN_SWEEP_SECONDS": "30"})
        self.cloud.vertex.predict_version = self._answered_on_staging
        self.cloud.services.predict_version = self._answered_on_staging
        self.story: Story = cut(seed)
        self._chance = random.Random(seed)
        self._replicas: dict[str, Replica] = {}
        self.ticked: list[str] = []
        drop(self.cloud, object_name(MODEL), on(SETTINGS.read_text(), backend).encode())

    @property
    def serving(self) -> ServingBackend:
        """What answers in this play."""
        return self.cloud.run_services if self.backend == "cloud_run" else self.cloud.vertex

    def since(self, mark: int) -> list[Event]:
        """Every event of ours that was published after a mark, once each."""
        told = [decode(message) for _, message in self.cloud.bus.history[mark:] if "ce-id" in message.attributes]
        return list({envelope.id: envelope.payload for envelope in told}.values())

    def drop(self, act: Act) -> list[Event]:
        """Drops an act's files; answers every event that followed."""
        before = len(self.cloud.bus.history)
        for file in act.files:
            drop(self.cloud, f"data/{MODEL}/{file.name}", file.content)
        self.settle()
        return self.since(before)

    def say(self, event: Event) -> list[Event]:
        """Publishes a person's event; answers every event that followed."""
        before = len(self.cloud.bus.history)
        publish(self.cloud, Envelope(f"test-{before}", "//test", self.cloud.now(), event))
        self.settle()
        return self.since(before)

    def again(self, events: list[Envelope]) -> None:
        """Publishes events once more, as they are."""
        for envelope in events:
            publish(self.cloud, envelope)
        self.settle()

    def settle(self) -> None:
        """Delivers, trains and lets reconcile look until nothing new is recorded."""
        for _ in range(_MAX_ROUNDS):
            before = self.lasting_records()
            settle(self.cloud)
            for topic, message, _function in self.cloud.refused:
                self.cloud.bus.publish(topic, message.data, message.attributes)
            trained, refused = self._train(), bool(self.cloud.refused)
            self.look()
            if not (refused or trained) and self.lasting_records() == before:
                settle(self.cloud)
                return
            self.cloud.pass_time(1)
        raise AssertionError("the story does not come to rest")

    def look(self) -> None:
        """Lets reconcile look once; `ticked` keeps the effects of that."""
        before = len(self.cloud.door.effects)
        tick(self.cloud)
        self.ticked += self.cloud.door.effects[before:]

    def lasting_records(self) -> list[str]:
        """What the ledger says happened, without the marks of who looked when."""
        return [entry.key for entry in self.cloud.state.entries("") if not entry.key.startswith(("clock/", "sweeps/"))]

    def traffic(self, seconds: int, until: Callable[[list[Event]], bool]) -> list[Event]:
        """Lets clients ask and tell labels for so many seconds, or until enough has been heard."""
        before = len(self.cloud.bus.history)
        for _ in range(seconds):
            self._one_second()
            settle(self.cloud)
            self.look()
            settle(self.cloud)
            if until(self.since(before)):
                break
        return self.since(before)

    def split(self) -> dict[str, int]:
        """Who answers how much of the production traffic."""
        endpoint = self.serving.endpoint(production_endpoint(MODEL))
        return {key: share for key, share in endpoint.split.items() if share} if endpoint else {}

    def _train(self) -> bool:
        """Runs the jobs that were ordered meanwhile; answers whether there were any."""
        waiting = [job for job in self._jobs().jobs({}) if not job.ended]
        for job in waiting:
            status = run_job(read_order(self._variables(job), "artefacts"), self.cloud)
            if self.backend == "cloud_run":
                self.cloud.jobs.end(job.name, "EXECUTION_FAILED" if status else "EXECUTION_SUCCEEDED")
            else:
                self.cloud.vertex.end_job(job.name, "FAILED" if status else "SUCCEEDED")
        return bool(waiting)

    def _jobs(self) -> TrainingBackend:
        return self.cloud.run_jobs if self.backend == "cloud_run" else self.cloud.vertex

    def _variables(self, job: Job) -> dict[str, str]:
        """What the job's container is told, the platform's own part included."""
        if self.backend == "cloud_run":
            (container,) = self.cloud.jobs.found[job.name].template.template.containers
            return {"CLOUD_RUN_JOB": job.number, **{each.name: each.value for each in container.env}}
        (order,) = [order for order in self.cloud.vertex.orders if order.labels == job.labels]
        return {"CLOUD_ML_JOB_ID": job.number, **order.variables}

    def _one_second(self) -> None:
        labels: list[tuple[str, str]] = []
        asked: dict[str, list[list[Traffic]]] = defaultdict(list)
        shares = self.split()
        for _ in range(REQUESTS_PER_SECOND):
            (arm,) = self._chance.choices(list(shares), weights=list(shares.values()))
            asked[arm].append(self._chance.sample(list(self.story.traffic), ROWS_PER_REQUEST))
        for arm, requests in asked.items():
            for rows in requests:
                answers = self._replica(arm).predict([row.features for row in rows], {})
                labels += [(answer["receipt"], row.label) for answer, row in zip(answers, rows, strict=True)]
        for serving in self._replicas.values():
            if serving.identity.deployed_model in shares:
                serving.report(self.cloud)
        for start in range(0, len(labels), _MAX_LABELS):
            batch = f"batch-{self.cloud.now().timestamp():.0f}-{start}"
            told = OutcomesObserved(model=MODEL, batch=batch, outcomes=tuple(labels[start : start + _MAX_LABELS]))
            publish(self.cloud, Envelope(batch, "//clients", self.cloud.now(), told))
        self.cloud.pass_time(1)

    def _replica(self, deployed_model: str) -> Replica:
        if deployed_model not in self._replicas:
            endpoint = production_endpoint(MODEL)
            found = self.serving.endpoint(endpoint)
            assert found is not None
            order = self._order(found.deployed[deployed_model])
            self._replicas[deployed_model] = replica(order, endpoint, deployed_model, self.cloud)
        return self._replicas[deployed_model]

    def _answered_on_staging(self, version: str, instances: Any, parameters: Any) -> list[Any]:
        return replica(self._order(version), "staging", "0", self.cloud).predict(instances, parameters)

    def _order(self, version: str) -> Any:
        return self.cloud.vertex.uploads[int(version.rsplit("@", 1)[-1]) - 1]
