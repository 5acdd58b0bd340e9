"""Services and their revisions: an order is taken at once, under an etag, and carried out when revisions are ready."""

import asyncio
import contextlib

from local import fields
from local.containers import Containers
from local.documents import Documents, public, timestamp
from local.errors import CloudError, Status
from local.fields import Document
from local.rest import Query
from local.run import orders
from local.run.instances import Instances
from local.run.operations import Operations
from local.vertex.serving import Replica

_READY_SECONDS = 60.0


class Services:
    """The services of every project."""

    def __init__(
        self, documents: Documents, operations: Operations, containers: Containers, address: str, idle_seconds: float
    ) -> None:
        self._documents = documents
        self._operations = operations
        self._containers = containers
        self._address = address
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.instances = Instances(containers, idle_seconds, self._needed)

    def create(self, parent: str, wanted: Document, query: Query) -> Document:
        identity = orders.checked_id(query.get("serviceId", ""))
        name = f"{parent}/services/{identity}"
        if self._documents.find("Service", name) is not None:
            raise CloudError(Status.ALREADY_EXISTS, f"Resource '{identity}' already exists.")
        now = timestamp()
        made: Document = {"name": name, "generation": "0", "createTime": now, "trafficStatuses": [], "annotations": {}}
        # Where a service answers; Google gives each a host, here each has a path.
        made["uri"] = f"{self._address}/services/{identity}"
        return self._ordered(made, orders.changes(wanted, [key for key in orders.CHANGEABLE if key in wanted]))

    def get(self, name: str) -> Document:
        return public(self._documents.get("Service", name))

    def every(self, parent: str) -> list[Document]:
        return [public(each) for each in self._documents.every("Service", parent)]

    def patch(self, name: str, wanted: Document, query: Query) -> Document:
        """Takes an order on the masked fields; ABORTED under an etag that is not the service's."""
        service = self._documents.get("Service", name)
        _check_etag(service, fields.text(wanted, "etag"))
        return self._ordered(service, orders.changes(wanted, fields.mask(query) or orders.CHANGEABLE))

    def delete(self, name: str, query: Query) -> Document:
        service = self._documents.get("Service", name)
        _check_etag(service, query.get("etag", ""))
        operation = self._operations.begin(_parent(name), name)
        self._documents.delete("Service", name)
        for revision in self._documents.every("Revision", name):
            self._documents.delete("Revision", revision["name"])
            self._forget(revision["name"])
        self._operations.end(name, "Service", public(service))
        return operation

    def revisions(self, service: str) -> list[Document]:
        """The revisions of a service, newest first."""
        return [public(each) for each in reversed(self._documents.every("Revision", service))]

    def revision(self, name: str) -> Document:
        return public(self._documents.get("Revision", name))

    def delete_revision(self, name: str) -> Document:
        """Deletes a revision that has neither traffic nor tag and is not the newest."""
        service = self._documents.get("Service", name.rsplit("/revisions/", 1)[0])
        revision = self._documents.get("Revision", name)
        identity = name.rsplit("/", 1)[-1]
        named = {each["revision"] for each in (*service["traffic"], *service["trafficStatuses"])}
        if identity in named or service.get("latestCreatedRevision") == name:
            raise CloudError(Status.FAILED_PRECONDITION, f"Revision {identity} is in use and cannot be deleted.")
        operation = self._operations.begin(_parent(service["name"]), name)
        self._documents.delete("Revision", name)
        self._forget(name)
        self._operations.end(name, "Revision", public(revision))
        return operation

    def found(self, project_free_id: str) -> Document | None:
        """The service with this id, whatever its project: on this machine an id is an address."""
        names = [each for each in self._documents.all_of("Service") if each["name"].endswith(f"/{project_free_id}")]
        return names[0] if names else None

    def instance(self, revision: str) -> Replica:
        """The instance of a revision, starting it if it is not up."""
        return self.instances.up(self._documents.get("Revision", revision))

    def resume(self) -> None:
        """Carries on with every order that a kill interrupted, and has what must be up started."""
        for service in self._documents.all_of("Service"):
            if service["reconciling"]:
                self._begin(service["name"])
        for name in self._needed():
            self.instance(name)

    async def stop(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.instances.stop()

    def _ordered(self, service: Document, changes: Document) -> Document:
        changed = {**service, **changes}
        made = self._new_revision(changed)
        known = {each["name"].rsplit("/", 1)[-1] for each in self._documents.every("Revision", service["name"])}
        orders.shares(fields.parts(changed, "traffic"), {*known, *([made["name"].rsplit("/", 1)[-1]] if made else ())})
        if made is not None:
            self._documents.put("Revision", made["name"], made, service["name"])
            changed["latestCreatedRevision"] = made["name"]
        operation = self._operations.begin(_parent(service["name"]), service["name"])
        changed["generation"] = str(int(service["generation"]) + 1)
        self._saved({**changed, "reconciling": True, "terminalCondition": orders.condition("CONDITION_RECONCILING")})
        self._begin(service["name"])
        return operation

    def _new_revision(self, service: Document) -> Document | None:
        """The revision that the template makes; None if it stands already as it is."""
        template = fields.part(service, "template")
        identity = orders.revision_name(service["name"], template)
        name = f"{service['name']}/revisions/{identity}"
        standing = self._documents.find("Revision", name)
        if standing is not None and standing["_template"] != template:
            raise CloudError(
                Status.ALREADY_EXISTS, f"Revision named '{identity}' with different configuration already exists."
            )
        for container in fields.parts(template, "containers"):
            self._containers.check(fields.required_text(container, "image"))
        made = {**template, "name": name, "service": service["name"], "createTime": timestamp(), "_template": template}
        return None if standing is not None else {**made, "_ready": False}

    def _begin(self, name: str) -> None:
        # An order that is overtaken is carried out by the one that overtook it.
        before = self._tasks.pop(name, None)
        if before is not None:
            before.cancel()
        self._tasks[name] = asyncio.get_running_loop().create_task(self._carry_out(name))

    async def _carry_out(self, name: str) -> None:
        error: CloudError | None = None
        try:
            await self._until_ready(name)
        except CloudError as failed:
            error = failed
        service = self._documents.find("Service", name)
        if service is None:
            return
        told = {"reconciling": False, "observedGeneration": service["generation"]}
        if error is None:
            told |= {
                "trafficStatuses": orders.statuses(service),
                "terminalCondition": orders.condition("CONDITION_SUCCEEDED"),
            }
        else:
            told |= {"terminalCondition": orders.condition("CONDITION_FAILED", error.message)}
        self._operations.end(name, "Service", public(self._saved({**service, **told})), error)
        for revision in self._needed():
            self.instance(revision)

    async def _until_ready(self, name: str) -> None:
        """Returns once every revision that the order names has been ready once."""
        service = self._documents.get("Service", name)
        for revision in sorted({f"{name}/revisions/{each['revision']}" for each in service["traffic"]}):
            document = self._documents.get("Revision", revision)
            if document["_ready"]:
                continue
            try:
                await self.instances.up(document).ready(_READY_SECONDS)
            except CloudError as error:
                await self.instances.drop(revision)
                identity = revision.rsplit("/", 1)[-1]
                message = f"Revision '{identity}' is not ready and cannot serve traffic. {error.message}"
                raise CloudError(Status.FAILED_PRECONDITION, message) from error
            self._documents.put("Revision", revision, {**document, "_ready": True}, name)

    def _needed(self) -> set[str]:
        """The revisions that are kept up without requests: those with traffic, while their service keeps instances."""
        return {
            f"{service['name']}/revisions/{each['revision']}"
            for service in self._documents.all_of("Service")
            if orders.least_instances(service)
            for each in service["trafficStatuses"]
            if each.get("percent")
        }

    def _forget(self, revision: str) -> None:
        task = asyncio.get_running_loop().create_task(self.instances.drop(revision))
        self._tasks[revision] = task
        task.add_done_callback(lambda _: self._tasks.pop(revision, None))

    def _saved(self, service: Document) -> Document:
        saved = {**service, "updateTime": timestamp(), "etag": f'"CL{self._documents.number("etag")}"'}
        self._documents.put("Service", saved["name"], saved, _parent(saved["name"]))
        return saved


def _check_etag(service: Document, etag: str) -> None:
    if etag and etag != service["etag"]:
        raise CloudError(Status.ABORTED, "Conflict for resource: its etag is another.")


def _parent(name: str) -> str:
    return name.rsplit("/", 2)[0]
