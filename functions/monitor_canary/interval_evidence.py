"""What both arms reported of an interval, read off two listings and the batches of labels that they name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from interval_records import late_prefix, reports_prefix
from judge_state import IntervalCounts
from labels_seen import LabelsSeen

from shared.evidence import Counts, total
from shared.rollouts import Rollout
from shared.step import Step
from shared.store import Entry

ARMS = ("canary", "production")


@dataclass(frozen=True)
class Gathered:
    """An interval's evidence and the keys of exactly what it was made from."""

    counts: IntervalCounts
    reports: tuple[str, ...]
    late: tuple[str, ...]


def gather(number: int, rollout: Rollout, seen: LabelsSeen, step: Step) -> Gathered:
    """The evidence of an interval; the labels that it counts are counted in `seen`."""
    reports = step.ledger.entries(reports_prefix(rollout.model, rollout.number, number))
    late = step.ledger.entries(late_prefix(rollout.model, rollout.number, number))
    arms = [_counts(arm, reports, late, rollout, seen, step) for arm in ARMS]
    late_labels = [_late(arm, late, "labelled") for arm in ARMS]
    counts = IntervalCounts(number, arms[0], arms[1], late_labels[0], late_labels[1])
    return Gathered(counts, tuple(entry.key for entry in reports), tuple(entry.key for entry in late))


def _counts(
    arm: str, reports: Sequence[Entry], late: Sequence[Entry], rollout: Rollout, seen: LabelsSeen, step: Step
) -> Counts:
    deployed = rollout.candidate.id if arm == "canary" else rollout.base.id if rollout.base else ""
    mine = [entry for entry in reports if f"/{arm}/" in entry.key]
    counted = total(_report(entry, deployed, seen, step) for entry in mine)
    return counted + Counts(late=_late(arm, late, "requests"))


def _report(entry: Entry, deployed: str, seen: LabelsSeen, step: Step) -> Counts:
    """What a report counts; of a batch of labels, those whose receipts have not been counted before."""
    batch = entry.metadata.get("outcomes")
    if batch is None:
        return Counts.from_json(json.loads(entry.metadata["counts"]))
    marks = step.ledger.require(batch).data["deployments"].get(deployed, ())
    new = [right for reporter, sequence, right in marks if seen.add(deployed, reporter, sequence)]
    return Counts(labelled=len(new), wrong=sum(not right for right in new))


def _late(arm: str, late: Sequence[Entry], what: str) -> int:
    mine = (json.loads(entry.metadata["counts"]) for entry in late if f"/{arm}/" in entry.key)
    return sum(int(each.get(what, 0)) for each in mine)
