"""`python -m tests.faults --minutes 60`: the long form, on every core, for so long at most; 1 if anything went wrong.

queue of subjects ─► a round of the next one, in a process of its own, within its share of the time that is left
      ▲                      │
      └── deeper ◄───────────┴─► exhausted, wrong, or its share was over: told as it is
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from pathlib import Path

from shared.wiring import FUNCTIONS
from tests.faults.deliveries import entry_point
from tests.faults.long_form import Round, Subject, subjects

_LEAST_SECONDS = 5.0


@dataclass
class Told:
    """What is known of a subject: the runs of whole rounds, the last of which was `complete`, and a sample of more."""

    name: str
    runs: int = 0
    complete: str = ""
    sample: str = ""
    exhausted: bool = False
    wrong: list[str] = field(default_factory=list)

    def add(self, found: Round) -> None:
        self.runs += found.runs
        self.wrong += found.wrong
        self.exhausted = found.whole and found.next is None
        if found.whole:
            self.complete, self.sample = found.told, ""
        elif found.runs:
            self.sample = f"{found.runs:,} {found.told}"

    def __str__(self) -> str:
        if self.wrong:
            return f"WRONG after {self.runs:,} runs\n" + "\n".join(self.wrong)
        end = "exhausted" if self.exhausted else "stopped"
        parts = [f"{self.runs:,} runs", self.complete, end, f"a sample: {self.sample}" if self.sample else ""]
        return ", ".join(filter(None, parts))


def played(subject: Subject, at: int, seconds: float) -> Round:
    """A round, within so many seconds."""
    end = time.monotonic() + seconds
    return subject.round(at, lambda: time.monotonic() > end)


def explore(everything: Sequence[Subject], minutes: float, workers: int) -> list[Told]:
    """Rounds of everything until all is exhausted or the time is over."""
    end = time.monotonic() + 60 * minutes
    told = {subject.name: Told(subject.name) for subject in everything}
    queue = deque((subject, 0) for subject in everything)
    at_work: dict[Future[Round], tuple[Subject, int]] = {}
    for function in FUNCTIONS:
        entry_point(function)  # once, for every process to come
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        while at_work or (queue and time.monotonic() < end):
            while queue and len(at_work) < workers and (left := end - time.monotonic()) > 0:
                share = left * workers / (len(queue) + len(at_work))
                subject, at = queue.popleft()
                at_work[pool.submit(played, subject, at, min(left, max(share, _LEAST_SECONDS)))] = subject, at
            for ended in wait(at_work, return_when=FIRST_COMPLETED).done:
                subject, at = at_work.pop(ended)
                found = ended.result()
                told[subject.name].add(found)
                _progress(told[subject.name], found, end, len(queue) + len(at_work))
                if found.next is not None and not found.wrong:
                    queue.append((subject, found.next))
    return list(told.values())


def _progress(told: Told, found: Round, end: float, open_subjects: int) -> None:
    left = max(0.0, end - time.monotonic()) / 60
    state = "WRONG" if found.wrong else "exhausted" if told.exhausted else "whole" if found.whole else "a sample"
    round_told = f"{told.name}: {found.runs:,} {found.told}, {state}"
    print(f"{left:5.1f} min left, {open_subjects:3d} others: {round_told}", flush=True)


def main(words: Sequence[str]) -> int:
    """Explores, writes the report, and says in short what it came to."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="subjects whose name has this in it")
    given = parser.parse_args(words)
    begun = time.monotonic()
    told = explore([each for each in subjects() if given.only in each.name], given.minutes, given.workers)
    given.home.mkdir(parents=True, exist_ok=True)
    (given.home / "report.json").write_text(json.dumps([asdict(each) for each in told], indent=1) + "\n")
    print()
    for each in told:
        print(f"{each.name}: {each}")
    return _verdict(told, time.monotonic() - begun)


def _verdict(told: Sequence[Told], seconds: float) -> int:
    runs, exhausted = sum(each.runs for each in told), sum(each.exhausted for each in told)
    wrong = [each for each in told if each.wrong]
    found = f"{exhausted} exhausted, {len(wrong)} wrong"
    print(f"\n{runs:,} runs of {len(told)} subjects in {seconds / 60:.1f} min: {found}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
