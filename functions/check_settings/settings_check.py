"""What people are told about the settings they dropped."""

from shared.events import Notification
from shared.foreign import ObjectFinalized
from shared.ids import ModelName
from shared.ledger import Outcome, Record
from shared.settings import checked, model_of
from shared.step import Events, Step


def check(arrived: ObjectFinalized, step: Step) -> Events:
    """Has this generation judged and says how it came out; raises BadInput when the name holds no model."""
    model = model_of(arrived.name)
    verdict = checked(step.ledger, step.cloud.data, model, arrived.generation)
    told = step.ledger.once(
        f"settings-notices/{model}/{arrived.generation:020d}", lambda: Outcome({}, (_notice(model, verdict),))
    )
    return told.events


def _notice(model: ModelName, verdict: Record) -> Notification:
    if verdict.data["valid"]:
        return Notification(model=model, title=f"{model}: new settings are in force")
    return Notification(
        model=model,
        severity="warning",
        title=f"{model}: settings refused, those before stay in force",
        why=tuple(verdict.data["reasons"]),
        next=f"mend settings/{model}.toml and drop it again",
    )
