"""Runs what is due, minute by minute. A minute that passed while nobody was there is not made up for."""

import asyncio
import time
from collections.abc import Callable

from local.fields import Document
from local.scheduler.jobs import attempted, due, message_of, retry_pauses, timestamp
from local.scheduler.minutes import Minutes
from local.scheduler.publishing import Publisher
from local.scheduler.store import Store

Now = Callable[[], float]


class Beat:
    """The runs of all jobs; a job that is still being tried is not run again beside it."""

    def __init__(self, store: Store, minutes: Minutes, publisher: Publisher, now: Now = time.time) -> None:
        self._store = store
        self._minutes = minutes
        self._publisher = publisher
        self._now = now
        self._attempts: dict[str, asyncio.Task[None]] = {}

    async def go_on(self) -> None:
        """Runs every job in each of its minutes, until cancelled."""
        while True:
            following = self._minutes.at(self._now()) + 1
            await asyncio.sleep(max(0.0, self._minutes.begins(following) - self._now()))
            minute = max(following, self._minutes.at(self._now()))
            for job in self._store.every():
                if due(job, minute):
                    self.run(job)

    def run(self, job: Document) -> None:
        """Begins to run a job now."""
        name = job["name"]
        if name not in self._attempts:
            self._attempts[name] = asyncio.get_running_loop().create_task(self._tried(job))
            self._attempts[name].add_done_callback(lambda _: self._attempts.pop(name))

    async def _tried(self, job: Document) -> None:
        """Publishes; tries again as often as the job asks for."""
        for pause in [*retry_pauses(job), None]:
            error = await asyncio.to_thread(self._publisher.publish, *message_of(job))
            self._note(job["name"], error)
            if not error or pause is None:
                return
            await asyncio.sleep(pause)

    def _note(self, name: str, error: str) -> None:
        standing = self._store.find(name)
        if standing is not None:
            self._store.put(attempted(standing, timestamp(self._now()), error))
