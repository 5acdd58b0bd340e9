"""A batch of labels: every receipt verified, counted once within the batch, for the deployment that issued it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import NotYet
from shared.events import EvidenceReported, Notification, OutcomesObserved
from shared.ids import ModelName, RunId
from shared.ledger import Outcome
from shared.receipt_keys import PREFIX
from shared.receipts import BadReceiptError, Receipt, key_id_of, read
from shared.rollouts import production_endpoint
from shared.settings import required
from shared.step import Events, Step


@dataclass(frozen=True)
class Counted:
    """The receipts of one deployment in a batch: [reporter, sequence, whether the prediction was right]."""

    run: RunId
    marks: tuple[tuple[str, int, bool], ...]


def tally(event: OutcomesObserved, step: Step) -> Events:
    """Records the batch and reports its labels as evidence of the interval in which it came."""
    return step.ledger.once(f"outcomes/{event.model}/{event.batch}", lambda: _counted(event, step)).events


def _counted(event: OutcomesObserved, step: Step) -> Outcome:
    keys = _keys({key_id_of(text) or "" for text, _ in event.outcomes}, step)
    found: dict[str, dict[tuple[str, int], tuple[Receipt, bool]]] = defaultdict(dict)
    refused: dict[str, int] = defaultdict(int)
    for text, label in event.outcomes:
        try:
            receipt = read(keys, text)
        except BadReceiptError as bad:
            refused[str(bad)] += 1
            continue
        if receipt.model != event.model:
            refused["of another model"] += 1
            continue
        found[receipt.deployed_model].setdefault(
            (receipt.reporter, receipt.sequence), (receipt, receipt.label == label)
        )
    counted = {deployed: _marks(receipts) for deployed, receipts in found.items()}
    data = {"deployments": {deployed: each.marks for deployed, each in counted.items()}, "refused": dict(refused)}
    return Outcome(data, (*_evidence(event, counted, step), *_refusals(event.model, refused)))


def _marks(receipts: Mapping[tuple[str, int], tuple[Receipt, bool]]) -> Counted:
    run = RunId(next(iter(receipts.values()))[0].run)
    return Counted(run, tuple((*identity, right) for identity, (_, right) in sorted(receipts.items())))


def _evidence(event: OutcomesObserved, counted: Mapping[str, Counted], step: Step) -> list[EvidenceReported]:
    _, settings = required(step.ledger, step.cloud.data, event.model)
    seconds = settings.evidence.report_seconds
    shared: dict[str, Any] = {
        "model": event.model,
        "endpoint": production_endpoint(event.model),
        "reporter": f"outcomes:{event.batch}",
        "interval": int(step.cloud.now().timestamp() // seconds),
        "report_seconds": seconds,
        "outcomes": f"outcomes/{event.model}/{event.batch}",
    }
    return [
        EvidenceReported(
            **shared,
            run=each.run,
            deployed_model=deployed,
            labelled=len(each.marks),
            wrong=sum(not right for *_, right in each.marks),
        )
        for deployed, each in sorted(counted.items())
    ]


def _refusals(model: ModelName, refused: Mapping[str, int]) -> list[Notification]:
    if not refused:
        return []
    why = tuple(f"{count} {reason}" for reason, count in sorted(refused.items()))
    title = f"{model}: {sum(refused.values())} labels came without a receipt of ours"
    return [Notification(model=model, severity="warning", title=title, why=why)]


def _keys(wanted: set[str], step: Step) -> dict[str, bytes]:
    """The signing keys that receipts name, as far as they are ours; NotYet when there is none at all."""
    names = sorted(name for name in wanted if name.isalnum())
    kept = {name: step.cloud.state.read(f"{PREFIX}{name}") for name in names}
    if names and all(body is None for body in kept.values()) and not step.cloud.state.entries(PREFIX):
        raise NotYet("a key for receipts")
    return {name: bytes.fromhex(body.decode()) for name, body in kept.items() if body is not None}
