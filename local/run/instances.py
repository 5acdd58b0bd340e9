"""The processes of revisions: one at most each, started when somebody needs it, ended when nobody has for a while."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from local import fields
from local.containers import Containers
from local.fields import Document
from local.vertex.serving import Recipe, Replica

_LOOK_SECONDS = 0.5
_PORT_VARIABLE = "PORT"


class Instances:
    """Instances by the name of their revision; `needed` says which must be up although nobody asks."""

    def __init__(self, containers: Containers, idle_seconds: float, needed: Callable[[], set[str]]) -> None:
        self._containers = containers
        self._idle_seconds = idle_seconds
        self._needed = needed
        self._up: dict[str, Replica] = {}
        self._asked: dict[str, float] = {}
        self._janitor = asyncio.get_running_loop().create_task(self._sweep())

    def up(self, revision: Document) -> Replica:
        """The revision's instance, starting it if it is not there."""
        name = revision["name"]
        self._asked[name] = time.monotonic()
        if name not in self._up:
            self._up[name] = Replica(_recipe(revision), self._containers)
        return self._up[name]

    def running(self) -> set[str]:
        """The revisions that have an instance now."""
        return set(self._up)

    async def drop(self, name: str) -> None:
        """Ends an instance, if there is one."""
        replica = self._up.pop(name, None)
        if replica is not None:
            await replica.end()

    async def stop(self) -> None:
        """Stops watching all; the processes are the caller's to end."""
        self._janitor.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._janitor
        for replica in self._up.values():
            await replica.leave()
            replica.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            for name in self._idle() - self._needed():
                await self.drop(name)

    def _idle(self) -> set[str]:
        long_ago = time.monotonic() - self._idle_seconds
        return {name for name, replica in self._up.items() if self._asked[name] < long_ago and not replica.is_starting}


def _recipe(revision: Document) -> Recipe:
    (container,) = fields.parts(revision, "containers")
    name, service = revision["name"].rsplit("/", 1)[-1], revision["service"].rsplit("/", 1)[-1]
    own = {"K_SERVICE": service, "K_REVISION": name, "K_CONFIGURATION": service}
    probe = fields.part(fields.part(container, "startupProbe"), "httpGet")
    return Recipe(
        log=f"serving-{name}",
        image=fields.required_text(container, "image"),
        arguments=(*fields.texts(container, "command"), *fields.texts(container, "args")),
        variables={**fields.environment(container), **own},
        health_route=fields.text(probe, "path") or "/",
        predict_route="/predict",
        port_variable=_PORT_VARIABLE,
    )
