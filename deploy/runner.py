"""Carries a plan out: looks, makes what is missing, waits for permissions to spread, stops at a failure."""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from deploy.filling import Filling, Gone
from deploy.gcloud import Answer, Failed, Gcloud, absent, lacking, unsettled
from deploy.once import Once
from deploy.steps import Command, Look, Step, removable


@dataclass(frozen=True)
class Report:
    """What became of a plan: the titles of what was made, was there before, was not reached, and the failure."""

    made: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failure: str = ""


@dataclass
class Runner:
    """Carries out steps with one gcloud; a refused command is tried again after each pause of `waits` (seconds).

    What a look has shown holds for the whole run: only the step whose thing it is changes that thing.
    """

    gcloud: Gcloud
    filling: Filling
    waits: Sequence[float]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    at_once: int = 1  # how many steps of one kind that need not wait for each other
    _seen: Once[Command, Answer] = field(default_factory=Once)
    _new: set[str] = field(default_factory=set)  # things that were made in this run: no role was given on them before

    def deploy(self, steps: Sequence[Step]) -> Report:
        """Makes what is missing, in order; stops at the first failure."""
        return self._each(steps, self._ensure)

    def destroy(self, steps: Sequence[Step]) -> Report:
        """Removes what is there, last made first; stops at the first failure. What only takes away does so here too."""
        return self._each(removable(steps), self._remove)

    def _each(self, steps: Sequence[Step], act: Callable[[Step], bool]) -> Report:
        outcomes: dict[int, bool | Failed] = {}
        for batch in _batches(steps):
            ended = self._batch(batch, act)
            outcomes |= ended
            if any(isinstance(outcome, Failed) for outcome in ended.values()):
                break
            if len(batch) > 1 and not any(ended.values()):
                self.say(f"{batch[0].together}: nothing to do for {len(batch)}")
        failures = [str(outcome) for outcome in outcomes.values() if isinstance(outcome, Failed)]
        return Report(
            tuple(step.title for step in steps if outcomes.get(id(step)) is True),
            tuple(step.title for step in steps if outcomes.get(id(step)) is False),
            tuple(step.title for step in steps if not isinstance(outcomes.get(id(step)), bool)),
            "\n".join(failures),
        )

    def _batch(self, batch: Sequence[Step], act: Callable[[Step], bool]) -> dict[int, bool | Failed]:
        """What became of each step; after a failure what has begun is finished, and nothing else is begun."""
        outcomes: dict[int, bool | Failed] = {}
        failed = Event()

        def carry_out(lane: Sequence[Step]) -> None:
            for step in lane:
                if failed.is_set():
                    return
                try:
                    outcomes[id(step)] = act(step)
                except Failed as failure:
                    outcomes[id(step)] = failure
                    failed.set()

        if len(batch) == 1 or self.at_once == 1:
            carry_out(batch)
            return outcomes
        with ThreadPoolExecutor(self.at_once) as pool:
            list(pool.map(carry_out, _lanes(batch)))
        return outcomes

    def _ensure(self, step: Step) -> bool:
        due = self._due(step)
        if not due:
            return False
        self.say(step.title)
        for command in step.remove if step.renewed else ():
            self._take(command)
        for command in due:
            self._make(command)
        return True

    def _due(self, step: Step) -> tuple[Command, ...]:
        """What brings a thing to plan; nothing if it stands so. Raises Failed if it differs and cannot be changed."""
        if step.look is None or step.on in self._new:
            return step.make
        answer = self._look(step.look)
        if absent(answer):
            self._new |= {step.thing} - {""}
            return step.make
        if answer.status:
            raise Failed(step.look.command, answer.err)
        if step.look.wanted(answer.out):
            return ()
        if step.frozen:
            raise Failed(step.look.command, step.frozen)
        return step.change(answer.out) if step.change else step.make

    def _make(self, command: Command) -> None:
        answer = self._patiently(command, unsettled)
        if answer.status:
            raise Failed(command, answer.err)

    def _remove(self, step: Step) -> bool:
        if not step.remove:
            return self._ensure(step)
        if step.look:
            answer = self._look(step.look)
            if absent(answer):
                return False
            if answer.status:
                raise Failed(step.look.command, answer.err)
        taken = [self._take(command) for command in step.remove]
        if any(taken):
            self.say(f"removed {step.title}")
        return any(taken)

    def _take(self, command: Command) -> bool:
        try:
            answer = self._ask(command)
        except Gone:
            return False
        if answer.status and not absent(answer):
            raise Failed(command, answer.err)
        return not answer.status

    def _look(self, look: Look) -> Answer:
        listed = look.among or look.command
        answer = self._seen(listed, lambda: self._patiently(listed, lambda each: unsettled(each) and not absent(each)))
        return _entry(answer, look.command) if look.among and not answer.status else answer

    def _patiently(self, command: Command, again: Callable[[Answer], bool]) -> Answer:
        answer = self._ask(command)
        for seconds in self.waits:
            if not again(answer):
                break
            if who := lacking(command, answer):
                raise Failed(command, f"{who}\n  {answer.err.strip()}")
            self.say(f"  refused; permissions may still be on their way: again in {seconds:.0f} s")
            self.sleep(seconds)
            answer = self._ask(command)
        return answer

    def _ask(self, command: Command) -> Answer:
        return self.gcloud(self.filling.filled(command))


def _batches(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Neighbours that need not wait for each other together, everything else alone."""
    for together, group in itertools.groupby(steps, lambda step: step.together):
        if together:
            yield list(group)
        else:
            yield from ([step] for step in group)


def _lanes(batch: Sequence[Step]) -> list[list[Step]]:
    """Steps on the same thing one after another; the longest such row is begun first, so that it is not waited for."""
    lanes: dict[str, list[Step]] = defaultdict(list)
    for number, step in enumerate(batch):
        lanes[step.on or str(number)].append(step)
    return sorted(lanes.values(), key=len, reverse=True)


def _entry(listed: Answer, described: Command) -> Answer:
    """What a describing command would answer, from a list of all things of the kind."""
    name = described[described.index("describe") + 1].rpartition("/")[2]
    for each in json.loads(listed.out or "[]"):
        if str(_identity(each)).rpartition("/")[2] == name:
            return Answer(0, json.dumps(each))
    return Answer(1, err=f"NOT_FOUND: {name} is not in the list")


def _identity(entry: Mapping[str, Any]) -> Any:
    return entry.get("email") or entry["name"]
