"""Whatever was decided is decided again from what its records name, in another order: the same comes of it.

runs/<m>/<w>/decision             the evaluation in it, graded anew under the settings of the run
rollouts/<m>/<n>/intervals/<i>    every interval from the first on, its reports added up from the last to the first
"""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from shared.evaluation import Evaluation
from shared.evidence import Counts, total
from shared.evidence_rules import EvidenceRules
from shared.ids import ModelName
from shared.ledger import Ledger, Record
from shared.rollouts import ALL, load
from shared.scorecard import grade
from shared.settings import Settings
from tests.faults.deliveries import entry_point
from tests.faults.invariants import data_of, records
from tests.functions.standing_run import ledger
from tests.world.cloud import MemoryCloud

entry_point("monitor_canary")  # whose modules can be imported from here on
from bake_watch import BakeState, advance_bake, begin_bake, decide_bake  # noqa: E402
from judge import advance, decide  # noqa: E402
from judge_state import IntervalCounts, JudgeState, begin  # noqa: E402


def decided_otherwise(cloud: MemoryCloud) -> str:
    """Which decision does not follow from what its record names; nothing if all do."""
    return next(chain(_decisions(cloud), _intervals(cloud)), "")


def _decisions(cloud: MemoryCloud) -> Iterator[str]:
    for key, decision in records(cloud, "runs", "decision"):
        settings = Settings.model_validate(_settings(cloud, key.split("/")[1], key.split("/")[2]))
        card = grade(Evaluation.model_validate(decision["evaluation"]), settings.decision)
        if (card.verdict.value, card.model_dump(mode="json")) != (decision["verdict"], decision["card"]):
            yield f"{key}: {decision['verdict']} was decided, {card.verdict.value} follows from its evaluation"


def _intervals(cloud: MemoryCloud) -> Iterator[str]:
    for key in cloud.state._generations:
        kind, model, number, *rest = (*key.split("/"), "", "", "")
        if kind == "rollouts" and rest[0] == "opened":
            yield from _refolded(cloud, ModelName(model), int(number))


def _refolded(cloud: MemoryCloud, model: ModelName, number: int) -> Iterator[str]:
    """The intervals of a rollout that do not follow from the reports that they name, and the share that they found.

    That share is as the clocks of those who order and see it tell: minutes apart, a later look would tell another.
    """
    kept = ledger(cloud)
    rollout = load(kept, model, number)
    rules = _rules(cloud, model, rollout.candidate.run.rpartition("-")[2])
    state, bake = begin(rules), None
    for record in _closed(kept, f"rollouts/{model}/{number:06d}/intervals/"):
        interval = _counted(cloud, record)
        percent, left_out = record.data["percent"], record.data["left_out"]
        if percent == ALL:
            bake = bake or begin_bake(state, rules)
            bake = bake if left_out else advance_bake(bake, interval)
        elif not left_out:
            state = advance(state, interval, rules, percent)
        verdict = decide_bake(bake, rules) if bake else decide(state, rules)
        follows = _told(state, bake, verdict.to_json(), interval)
        if follows != {name: record.data[name] for name in follows}:
            yield f"{record.key}: its state or verdict does not follow from the reports that it names"


def _told(state: JudgeState, bake: BakeState | None, verdict: Any, interval: IntervalCounts) -> dict[str, Any]:
    told = {
        "state": state.model_dump(mode="json"),
        "bake": bake.model_dump(mode="json") if bake else None,
        "verdict": verdict,
        "canary": interval.canary.to_json(),
        "production": interval.production.to_json(),
    }
    plain: dict[str, Any] = json.loads(json.dumps(told))
    return plain


def _closed(kept: Ledger, prefix: str) -> list[Record]:
    return [kept.require(entry.key) for entry in kept.entries(prefix)]


def _counted(cloud: MemoryCloud, record: Record) -> IntervalCounts:
    """What the named reports count together, from the last to the first; the stories report no labels."""
    arms = [_arm(cloud, arm, record) for arm in ("canary", "production")]
    return IntervalCounts(int(record.key.rsplit("/", 1)[-1]), arms[0], arms[1])


def _arm(cloud: MemoryCloud, arm: str, record: Record) -> Counts:
    def counts(where: str) -> list[dict[str, Any]]:
        named = [key for key in reversed(record.data[where]) if f"/{arm}/" in key]
        return [json.loads(cloud.state._generations[key][-1].entry.metadata["counts"]) for key in named]

    late = sum(each["requests"] for each in counts("late"))
    return total(Counts.from_json(each) for each in counts("reports")) + Counts(late=late)


def _settings(cloud: MemoryCloud, model: str, window: str) -> Any:
    return data_of(cloud, f"windows/{model}/{window}")["settings"]


def _rules(cloud: MemoryCloud, model: str, window: str) -> EvidenceRules:
    return EvidenceRules.model_validate(_settings(cloud, model, window)["evidence"])
