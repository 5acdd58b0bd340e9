"""What the ledger says of a model's rollouts: who is in production, which split is desired, what is over.

opened ─► deployed (dark) ─► steps/1 ─► shifted/1 ─► … ─► 100 % ─► bake ─► verdict promote  ─► end
                                 └──────────────┴────────────────────────► verdict rollback ─► end
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.errors import NotYet
from shared.events import ModelPromoted, RetirementDue
from shared.ids import STAGING_SUFFIX, ModelName, RunId
from shared.ledger import Ledger, Outcome, Record, rollout_key, rollouts_prefix

ALL = 100
Decision = Literal["promote", "rollback"]


@dataclass(frozen=True)
class Deployed:
    """A model version under its deployed model's id on the production endpoint."""

    id: str
    version: str
    run: RunId
    artefacts: str

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "version": self.version, "run": self.run, "artefacts": self.artefacts}

    @staticmethod
    def from_json(kept: Mapping[str, Any]) -> "Deployed":
        return Deployed(kept["id"], kept["version"], RunId(kept["run"]), kept["artefacts"])


@dataclass(frozen=True)
class Rollout:
    """One rollout as its records tell it; `base` is None for the first model of all."""

    model: ModelName
    number: int
    candidate: Deployed
    base: Deployed | None
    steps: tuple[int, ...]
    opened: Record
    ordered: tuple[Record, ...]
    shifted: tuple[Record, ...]
    verdict: Record | None
    end: Record | None

    @property
    def decision(self) -> Decision | None:
        return None if self.verdict is None else self.verdict.data["decision"]

    @property
    def returns(self) -> int | None:
        """The promoted rollout that this one leaves, going back to an older version; None of any other rollout."""
        returned: int | None = self.opened.data.get("returns")
        return returned

    @property
    def percent(self) -> int:
        """The share of the traffic that the candidate was last seen to have."""
        return int(self.shifted[-1].data["percent"]) if self.shifted else 0

    @property
    def live(self) -> bool:
        """Whether the candidate answers everything."""
        return self.percent == ALL and self.decision != "rollback"

    @property
    def production(self) -> Deployed | None:
        """What answers when this rollout is left as it stands."""
        return self.candidate if self.live or self.decision == "promote" else self.base

    def desired_split(self) -> dict[str, int] | None:
        """The split that the records order; None while nothing was ordered."""
        if self.decision == "rollback":
            return {self.base.id: ALL} if self.base else {}
        if not self.ordered:
            return {self.base.id: ALL} if self.base else None
        return split(self.candidate, self.base, int(self.ordered[-1].data["percent"]))


def split(candidate: Deployed, base: Deployed | None, percent: int) -> dict[str, int]:
    """The whole map of the endpoint with this share for the candidate."""
    if base is None or percent == ALL:
        return {candidate.id: ALL}
    return {candidate.id: percent, base.id: ALL - percent}


def production_endpoint(model: ModelName) -> str:
    return f"serin-{model}"


def staging_endpoint(model: ModelName) -> str:
    return f"serin-{model}{STAGING_SUFFIX}"


def last_rollout(ledger: Ledger, model: ModelName) -> int:
    """The highest number of a rollout; 0 before the first."""
    numbers = ledger.store.folders(rollouts_prefix(model))
    return int(numbers[-1]) if numbers else 0


def load(ledger: Ledger, model: ModelName, number: int) -> Rollout:
    """A rollout as it stands; NotYet if it was not opened."""
    opened = ledger.require(rollout_key(model, number, "opened"))
    candidate, base = arms_of(opened)
    return Rollout(
        model=model,
        number=number,
        candidate=candidate,
        base=base,
        steps=tuple(opened.data["steps"]),
        opened=opened,
        ordered=_records(ledger, rollout_key(model, number, "steps/")),
        shifted=_records(ledger, rollout_key(model, number, "shifted/")),
        verdict=ledger.find(rollout_key(model, number, "verdict")),
        end=ledger.find(rollout_key(model, number, "end")),
    )


def arms_of(opened: Record) -> tuple[Deployed, Deployed | None]:
    """The candidate and the base that a rollout was opened with."""
    base = opened.data["base"]
    return Deployed.from_json(opened.data["candidate"]), Deployed.from_json(base) if base else None


def newest(ledger: Ledger, model: ModelName) -> Rollout | None:
    """The last rollout of a model, or None."""
    number = last_rollout(ledger, model)
    return load(ledger, model, number) if number else None


def production(ledger: Ledger, model: ModelName) -> Deployed | None:
    """What answers a model's predictions now; None before the first model is live."""
    rollout = newest(ledger, model)
    return rollout.production if rollout else None


def promote(ledger: Ledger, rollout: Rollout, by: str, because: str) -> Record:
    """Ends a rollout in its candidate's favour; NotYet if a rollback was decided first.

    Answers the record of the end, whose events retire the base; it says who decided and why, whoever comes second.
    """
    key = rollout_key(rollout.model, rollout.number, "verdict")
    verdict = ledger.once(key, lambda: Outcome({"decision": "promote", "by": by, "because": because}))
    if verdict.data["decision"] != "promote":
        raise NotYet(f"the end of rollout {rollout.number}, which is being rolled back")
    run, candidate = rollout.candidate.run, rollout.candidate
    told = {name: verdict.data[name] for name in ("by", "because")}

    def ended() -> Outcome:
        promoted = ModelPromoted(
            model=rollout.model, run=run, rollout=rollout.number, version=candidate.version, by=told["by"]
        )
        retired = (
            [RetirementDue(model=rollout.model, run=run, what="base", target=rollout.base.id)] if rollout.base else []
        )
        older = RetirementDue(model=rollout.model, run=run, what="versions", target=rollout.model)
        return Outcome({"outcome": "promoted", **told}, (promoted, *retired, older))

    return ledger.once(rollout_key(rollout.model, rollout.number, "end"), ended)


def _records(ledger: Ledger, prefix: str) -> tuple[Record, ...]:
    return tuple(ledger.require(entry.key) for entry in ledger.entries(prefix))
