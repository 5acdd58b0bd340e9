"""The explorer finds what it is there to find: mistakes put into the real code, one at each guard."""

import pytest

from tests.faults.exploration import Case, explored
from tests.faults.scheduler import Budget
from tests.faults.seeding import Bug, seeded
from tests.faults.test_handlers import deployment_and_rollback, situation, two_rollbacks
from tests.faults.test_windows import uploads_and_closers

ROLL_BACK = "functions/roll_back/rollback.py"
DEPLOY = "functions/deploy_canary/canary_deployment.py"
LAUNCH = "functions/launch_training/training_launch.py"


def case_of(name: str) -> Case:
    made = {
        "two rollbacks": two_rollbacks,
        "deployment and rollback": deployment_and_rollback,
        "uploads and a closer": lambda: uploads_and_closers(2, 1),
    }
    return made[name]() if name in made else situation(name)


BUGS: tuple[tuple[Bug, str, Budget], ...] = (
    (
        Bug(
            "numbers a rollout from a second look", DEPLOY, "number = (last.number if last else 0) + 1",
            "number = len(step.ledger.store.folders(f'rollouts/{event.model}/')) + 1",
        ),
        "deploy_canary", Budget(switches=1),
    ),
    (
        Bug(
            "undeploys before the base has the traffic", ROLL_BACK,
            "    endpoint = _without_traffic(rollout, step)\n",
            "    endpoint = step.cloud.vertex.endpoint(production_endpoint(rollout.model))\n",
        ),
        "two rollbacks", Budget(switches=1),
    ),
    (
        Bug(
            "stops at zero percent", ROLL_BACK, "rollout.candidate.id in endpoint.deployed:",
            "endpoint.split.get(rollout.candidate.id):",
        ),
        "deployment and rollback", Budget(switches=1),
    ),
    (
        Bug(
            "does not look once the rollout has ended", ROLL_BACK, "    endpoint = _without_traffic(rollout, step)\n",
            "    if rollout.end is not None:\n        return rollout.end.events\n"
            "    endpoint = _without_traffic(rollout, step)\n",
        ),
        "deployment and rollback", Budget(switches=1),
    ),
    (
        Bug("closes without a sweep", LAUNCH, "    sweep(step.ledger, event.model, window)\n", ""),
        "uploads and a closer", Budget(switches=1),
    ),
)  # fmt: skip


@pytest.mark.parametrize(("bug", "name", "budget"), BUGS, ids=[bug.name for bug, *_ in BUGS])
def test_a_seeded_bug_is_found(bug: Bug, name: str, budget: Budget) -> None:
    with seeded(bug):
        try:
            found = explored(case_of(name), budget, 20_000).failures
        except AssertionError as undisturbed:
            found = [([], str(undisturbed))]
    assert found, f"{bug.name} was not found"
