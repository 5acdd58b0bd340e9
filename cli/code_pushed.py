"""What follows from new code: the models whose settings ask for it are trained by it, once per commit."""

from collections.abc import Iterator

from cli import reading
from shared.environment import Cloud
from shared.events import TrainingRequested
from shared.ledger import Ledger
from shared.settings import current


def requests(ledger: Ledger, cloud: Cloud, commit: str) -> Iterator[TrainingRequested]:
    """One request per model with `retrain_on_code`; said again for the same commit, it is the same request."""
    for model in reading.models(ledger):
        found = current(ledger, cloud.data, model)
        if found is not None and found[1].threshold.retrain_on_code:
            yield TrainingRequested(
                model=model, reason="code", request=f"code-{commit}"[:64], by="delivery", because=f"commit {commit}"
            )
