"""`make kills`: every process of the local cloud is ended without warning in every act from 2 to 7, on the wire.

Each play of the story ends some of them in each act, one after the other, each at a moment of its life that chance
picks from a seed; every act must still end as told, with one accepted evaluation per run. What was ended when, and how
each act went, is printed and kept in build/kills/.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli.demo.cloud import LocalCloud
from cli.demo.play import ACTS, ends_when_told, played, staged
from cli.demo.stage import MODEL, Stage
from cli.demo.story import Act
from shared.events import ApprovalRequested, DeploymentApproved, DeploymentRejected
from shared.ids import run_id
from shared.ledger import run_key
from shared.windows import last_window
from tests.e2e.killing import EVERYBODY, LONG_SECONDS, SHORT_SECONDS, Kill, Killer, rounds

HARMED = range(2, ACTS + 1)
SHORT_ACTS = (4, 5)
PATIENCE = 4.0
"""How many times longer an act may take: what was ended has to start again, on a laptop's two cores."""
_DECISIONS = (DeploymentApproved, ApprovalRequested, DeploymentRejected)


@dataclass
class Harm:
    """What was done to one act and how it went."""

    act: int
    wanted: tuple[str, ...]
    kills: list[Kill] = field(default_factory=list)
    seconds: float = 0.0
    as_told: bool = False
    trouble: str = ""


def one_play(
    home: Path, seed: int, plan: Mapping[int, tuple[str, ...]], console: Console, acts: int = ACTS
) -> list[Harm]:
    """Plays the story once, ending the planned processes in each act; answers what was done and how it went."""
    local, chance, harms = LocalCloud(home), random.Random(seed), []

    @contextmanager
    def harmed(_stage: Stage, act: Act) -> Iterator[None]:
        harm, begun = Harm(act.number, plan.get(act.number, ())), time.monotonic()
        longest = SHORT_SECONDS if act.number in SHORT_ACTS else LONG_SECONDS
        with Killer(local, harm.wanted, chance, longest) as killer:
            yield
        harm.kills, harm.trouble, harm.seconds = killer.kills, killer.trouble, time.monotonic() - begun
        harms.append(harm)

    with staged(local, 1, console) as stage:
        stage.patience = PATIENCE
        told = played(stage, acts, harmed)
        doubled = twice_decided(stage)
    for harm, as_told in zip(harms, told, strict=True):
        harm.as_told = as_told and not harm.trouble
    harms[-1].trouble = harms[-1].trouble or doubled
    harms[-1].as_told = harms[-1].as_told and not doubled
    return harms


def twice_decided(stage: Stage) -> str:
    """Which runs were decided more than once or not at all; nothing if each was decided exactly once."""
    heard = Counter(
        str(getattr(event.payload, "run", ""))
        for event in stage.timeline.since(0)
        if isinstance(event.payload, _DECISIONS)
    )
    ledger = stage.ledger()
    runs = [run_id(MODEL, number) for number in range(1, last_window(ledger, MODEL) + 1)]
    undecided = [run for run in runs if ledger.find(run_key(run, "decision")) is None]
    wrong = [f"{run}: decided {heard[run]} times" for run in runs if heard[run] != 1]
    return "; ".join([*wrong, *(f"{run}: no decision stands" for run in undecided)])


def main() -> int:
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("build/kills"))
    parser.add_argument("--at-once", type=int, default=3, help="processes that are ended in one act, one by one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60, help="no play begins after this time")
    given = parser.parse_args()
    ends_when_told()
    console, begun = Console(width=150), time.monotonic()
    plans = list(rounds(EVERYBODY, HARMED, given.at_once))
    harms: list[Harm] = []
    given.home.mkdir(parents=True, exist_ok=True)
    for number, plan in enumerate(plans):
        if time.monotonic() - begun > 60 * given.minutes:
            break
        with (given.home / f"play-{number}.log").open("w") as log:
            quiet = Console(file=log, width=150)
            done = one_play(given.home / f"play-{number}", given.seed + number, plan, quiet)
        harms += done
        told = sum(harm.as_told for harm in done)
        console.print(f"play {number + 1} of {len(plans)}: {told} of {len(done)} acts as told")
        for harm in done:
            if not harm.as_told:
                console.print(f"  act {harm.act} ended otherwise: {harm.trouble} {harm.kills}", highlight=False)
        (given.home / "report.json").write_text(json.dumps([asdict(harm) for harm in harms], indent=1))
    console.print(_table(harms))
    return _summary(harms, len(plans) * len(HARMED), console)


def _table(harms: Sequence[Harm]) -> Table:
    """Who was ended in which act: `x` ended and the act as told, `!` otherwise, `·` did not run in it."""
    table = Table("process", *(f"act {act}" for act in HARMED), box=None)
    for who in EVERYBODY:
        table.add_row(who, *(_mark(who, act, harms) for act in HARMED))
    return table


def _mark(who: str, act: int, harms: Sequence[Harm]) -> str:
    meant = [harm for harm in harms if harm.act == act and who in harm.wanted]
    if not meant:
        return " "
    ended = [harm for harm in meant if any(kill.who == who for kill in harm.kills)]
    if not ended:
        return "·"
    return "x" if all(harm.as_told for harm in ended) else "!"


def _summary(harms: Sequence[Harm], planned: int, console: Console) -> int:
    hurt = [harm for harm in harms if harm.act in HARMED]
    kills = sum(len(harm.kills) for harm in hurt)
    told = sum(harm.as_told for harm in harms)
    console.print(
        f"kills: {kills} processes ended in {len(hurt)} of {planned} acts; {told} of {len(harms)} acts as told"
    )
    return 0 if told == len(harms) and len(hurt) == planned else 1


if __name__ == "__main__":
    sys.exit(main())
