"""A canary live in the terminal: its share, the evidence of both arms, each e-value against its bound.

Read from the ledger like everything else: what is shown is what the last closed interval's verdict rests on.
"""

import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from shared.errors import BadInput
from shared.ids import ModelName
from shared.ledger import Ledger, Record, rollout_key
from shared.rollouts import ALL, Rollout, newest

_CELLS = 10
_COLOURS = {"roll_back": "red", "go_on": "green", "silent": "red", "out_of_time": "red"}


def watch(ledger: Ledger, model: ModelName, console: Console, every_seconds: float) -> None:
    """Shows a model's newest rollout until it has ended; raises BadInput when there is none."""
    with Live(console=console, auto_refresh=False) as live:
        for rollout, last in _looks(ledger, model):
            live.update(frame(rollout, last), refresh=True)
            if rollout.end is not None:
                return
            time.sleep(every_seconds)


def look(ledger: Ledger, model: ModelName) -> tuple[Rollout, Record | None]:
    """A model's newest rollout and its last closed interval; raises BadInput when it never had one."""
    rollout = newest(ledger, model)
    if rollout is None:
        raise BadInput("model", [f"{model} has no rollout"])
    closed = ledger.entries(rollout_key(model, rollout.number, "intervals/"))
    return rollout, ledger.require(closed[-1].key) if closed else None


def frame(rollout: Rollout, last: Record | None) -> RenderableType:
    """Everything about a rollout now, as one picture."""
    lines: list[RenderableType] = [_title(rollout), *(Text(line) for line in _steps(rollout))]
    if last is not None:
        verdict = last.data["verdict"]
        colour = _COLOURS.get(verdict["kind"], "yellow")
        lines += [Text(f"verdict: {verdict['kind'].replace('_', ' ')}", style=colour), _tests(verdict["numbers"])]
        lines += [Text(f"  {reason}") for reason in (*verdict["reasons"], *_besides(verdict["numbers"]))]
    return Group(*lines)


def _looks(ledger: Ledger, model: ModelName) -> Iterator[tuple[Rollout, Record | None]]:
    while True:
        yield look(ledger, model)


def _title(rollout: Rollout) -> Text:
    candidate = rollout.candidate.version.rsplit("@", 1)[-1]
    base = f"against version {rollout.base.version.rsplit('@', 1)[-1]}" if rollout.base else "with nothing before it"
    return Text(f"{rollout.model}, rollout {rollout.number}: version {candidate} {base}", style="bold")


def _steps(rollout: Rollout) -> list[str]:
    share = rollout.percent if rollout.decision != "rollback" or rollout.end is None else 0
    bar = "█" * round(share * _CELLS / ALL) + "░" * (_CELLS - round(share * _CELLS / ALL))
    told = [f"{bar} {share} % of the traffic; steps {', '.join(map(str, rollout.steps))}"]
    if rollout.end is not None:
        end = rollout.end.data
        told.append(f"ended {rollout.end.at:%H:%M:%S}: {end['outcome']}, by {end['by']}: {end['because']}")
    elif rollout.verdict is not None:
        told.append(f"decided by {rollout.verdict.data['by']}: {rollout.decision}")
    return told


def _tests(numbers: Mapping[str, Any]) -> Table:
    """A row per test; while it bakes, production is its record at promotion."""
    table = Table("test", "canary", "production", "difference", "matters", "harm", "safety", box=None)
    for name, test in numbers["tests"].items():
        difference = test["difference_points"]
        table.add_row(
            name,
            _share(test["canary"]),
            _share(test["production"]) if "production" in test else f"record: {test['recorded_percent']:.2f} %",
            "" if difference is None else f"{difference:+.2f}",
            f"{test['margin_points']:.2f} points",
            _towards(test["harm"], "red"),
            _towards(test["safety"], "green") if "safety" in test else "",
        )
    return table


def _share(counted: Mapping[str, int]) -> str:
    if not counted["of"]:
        return "nothing yet"
    return f"{counted['bad']} of {counted['of']} = {100 * counted['bad'] / counted['of']:.2f} %"


def _towards(evidence: Mapping[str, float], colour: str) -> Text:
    """How far an e-value has come on the way from 1 to its bound, which is even in logarithms."""
    value, bound = evidence["e_value"], evidence["bound"]
    way = math.log(max(value, 1.0)) / math.log(bound) if bound > 1 else 1.0
    full = min(_CELLS, int(_CELLS * way))
    return Text("█" * full + "░" * (_CELLS - full), style=colour).append(f" {value:.3g} of {bound:g}", style="default")


def _besides(numbers: Mapping[str, Any]) -> list[str]:
    """What else the verdict rests on."""
    if "against" in numbers:
        return [f"compared with {numbers['against']}"]
    step, late = numbers["step"], numbers["late"]
    return [
        f"this step: {step['seconds']:g} s, {step['requests']} requests; late: {late['canary']} of the canary's, "
        f"{late['production']} of production's; split: e-value {numbers['split']['e_value']:.3g} of "
        f"{numbers['split']['bound']:g}"
    ]
