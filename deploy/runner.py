"""Carries a plan out: looks, makes what is missing, waits for permissions to spread, stops at a failure."""

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy import metrics, source
from deploy.gcloud import Answer, Gcloud, absent, unsettled
from deploy.plan import Target
from deploy.steps import Command, Step

_PLACEHOLDER = re.compile(r"\{(number|uri|source|metric)(?::([a-z_-]+))?\}")


class Failed(Exception):
    """A command that failed, and what it said."""

    def __init__(self, command: Command, said: str) -> None:
        super().__init__(f"gcloud {' '.join(command)}\n  {said.strip() or 'said nothing'}")


@dataclass(frozen=True)
class Report:
    """What became of a plan: the titles of what was made, was there before, was not reached, and the failure."""

    made: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    failure: str = ""


@dataclass
class Runner:
    """Carries out steps with one gcloud; a refused command is tried again after each pause of `waits` (seconds)."""

    gcloud: Gcloud
    target: Target
    waits: Sequence[float]
    sleep: Callable[[float], None]
    say: Callable[[str], None]
    write_source: Callable[[str, Path], None] = source.write
    metrics: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    _known: dict[str, str] = field(default_factory=dict)

    def deploy(self, steps: Sequence[Step]) -> Report:
        """Makes what is missing, in order; stops at the first failure."""
        return self._each(steps, self._ensure)

    def destroy(self, steps: Sequence[Step]) -> Report:
        """Removes what is there, last made first; stops at the first failure."""
        return self._each([step for step in reversed(steps) if step.remove], self._remove)

    def _each(self, steps: Sequence[Step], act: Callable[[Step], bool]) -> Report:
        made: list[str] = []
        there: list[str] = []
        for index, step in enumerate(steps):
            try:
                (made if act(step) else there).append(step.title)
            except Failed as failed:
                left = tuple(each.title for each in steps[index:])
                return Report(tuple(made), tuple(there), left, str(failed))
        return Report(tuple(made), tuple(there))

    def _ensure(self, step: Step) -> bool:
        if self._stands(step, step.frozen):
            return False
        self.say(step.title)
        for command in step.make:
            self._do(command)
        return True

    def _remove(self, step: Step) -> bool:
        if step.look:
            answer = self._ask(step.look.command)
            if absent(answer):
                return False
            if answer.status:
                raise Failed(step.look.command, answer.err)
        self.say(f"remove {step.title}")
        for command in step.remove:
            answer = self._ask(command)
            if answer.status and not absent(answer):
                raise Failed(command, answer.err)
        return True

    def _stands(self, step: Step, frozen: str) -> bool:
        if step.look is None:
            return False
        answer = self._patiently(step.look.command, lambda each: unsettled(each) and not absent(each))
        if absent(answer):
            return False
        if answer.status:
            raise Failed(step.look.command, answer.err)
        if step.look.wanted(answer.out):
            return True
        if frozen:
            raise Failed(step.look.command, frozen)
        return False

    def _do(self, command: Command) -> None:
        answer = self._patiently(command, unsettled)
        if answer.status:
            raise Failed(command, answer.err)

    def _patiently(self, command: Command, again: Callable[[Answer], bool]) -> Answer:
        answer = self._ask(command)
        for seconds in self.waits:
            if not again(answer):
                break
            self.say(f"  refused; permissions may still be on their way: again in {seconds:.0f} s")
            self.sleep(seconds)
            answer = self._ask(command)
        return answer

    def _ask(self, command: Command) -> Answer:
        if not any(kind in argument for argument in command for kind in ("{source:", "{metric:")):
            return self.gcloud(tuple(self._filled(argument, Path()) for argument in command))
        with tempfile.TemporaryDirectory(prefix="serin-") as folder:
            return self.gcloud(tuple(self._filled(argument, Path(folder)) for argument in command))

    def _filled(self, argument: str, folder: Path) -> str:
        return _PLACEHOLDER.sub(lambda found: self._value(found[1], found[2] or "", folder), argument)

    def _value(self, kind: str, name: str, folder: Path) -> str:
        if kind == "source":
            self.write_source(name, folder)
            return str(folder)
        if kind == "metric":
            file = folder / f"{name}.json"
            file.write_text(metrics.config(self.metrics[name]), encoding="utf-8")
            return str(file)
        asked = f"{kind}:{name}"
        if asked not in self._known:
            self._known[asked] = self._look_up(kind, name)
        return self._known[asked]

    def _look_up(self, kind: str, name: str) -> str:
        project: Command = ("projects", "describe", self.target.project, "--format=value(projectNumber)")
        region = f"--region={self.target.region}"
        uri: Command = ("functions", "describe", name, "--gen2", region, "--format=value(serviceConfig.uri)")
        command = project if kind == "number" else uri
        answer = self.gcloud(command)
        if answer.status or not answer.out.strip():
            raise Failed(command, answer.err)
        return answer.out.strip()
