"""What a model's newest rollout still waits for."""

from collections.abc import Iterator

from shared.backends import moved_from, serving
from shared.envelope import Envelope
from shared.events import RetirementDue, RollbackRequested, TrafficRequested, TrafficShifted
from shared.ids import ModelName, RunId, run_id
from shared.ledger import Record, rollout_key, run_key
from shared.rollouts import Rollout, newest, production_endpoint, staging_endpoint
from shared.step import Step


def of_rollout(model: ModelName, step: Step) -> Iterator[Envelope]:
    """The event that the rollout's furthest step was started by, or the one that restores the desired split."""
    rollout = newest(step.ledger, model)
    if rollout is None:
        return
    endpoint = serving(rollout.candidate.run, step).endpoint(production_endpoint(model))
    deployed = set(endpoint.deployed) if endpoint else set()
    if rollout.end is not None:
        yield from _of_ended(rollout, deployed | set(endpoint.failed if endpoint else ()), step)
    elif rollout.decision == "rollback":
        yield _leave(rollout, step)
    elif rollout.ordered:
        desired = rollout.desired_split()
        astray = endpoint is not None and dict(endpoint.split) != desired
        yield from _of_steps(rollout, astray)
    elif rollout.returns is not None:
        yield from _said(rollout.opened, RollbackRequested)
    yield from _of_earlier(rollout, deployed, step)
    yield from _of_other_backend(rollout, step)


def _of_steps(rollout: Rollout, astray: bool) -> Iterator[Envelope]:
    if astray or len(rollout.ordered) > len(rollout.shifted):
        yield from _said(rollout.ordered[-1], TrafficRequested)
    else:
        yield from _said(rollout.shifted[-1], TrafficShifted)


def _of_ended(rollout: Rollout, deployed: set[str], step: Step) -> Iterator[Envelope]:
    """What the end left behind: a deployment, a run without an end, or an end that nobody has heard of."""
    assert rollout.end is not None
    if rollout.decision == "promote" and rollout.base and rollout.base.id in deployed:
        yield from _said(rollout.end, RetirementDue)
    if rollout.decision == "rollback" and (rollout.candidate.id in deployed or _run_is_open(rollout, step)):
        yield _leave(rollout, step)
    else:
        yield from step.until_heard(rollout.end)


def _run_is_open(rollout: Rollout, step: Step) -> bool:
    """Whether the candidate's run lacks the end that comes with a rollback; a failed deployment's comes otherwise."""
    assert rollout.end is not None
    failed = rollout.end.data.get("outcome") == "failed"
    return not failed and step.ledger.find(run_key(rollout.candidate.run, "end")) is None


def _of_earlier(rollout: Rollout, deployed: set[str], step: Step) -> Iterator[Envelope]:
    """What an earlier rollout has left deployed, of which this one knows nothing."""
    arms = {arm.id for arm in (rollout.candidate, rollout.base) if arm is not None}
    earlier = {each for each in deployed - arms if each.isdigit() and int(each) < rollout.number}
    yield from _left(rollout, rollout.candidate.run, earlier, step)


def _of_other_backend(rollout: Rollout, step: Step) -> Iterator[Envelope]:
    """What those have left elsewhere that came before a first model: once one is live, the backend stays the same."""
    if rollout.base is not None or rollout.number == 1:
        return
    before = [step.ledger.find(rollout_key(rollout.model, each, "opened")) for each in range(1, rollout.number)]
    run = moved_from([RunId(opened.data["run"]) for opened in before if opened], rollout.candidate.run, step)
    if run is None:
        return
    endpoint = serving(run, step).endpoint(production_endpoint(rollout.model))
    yield from _left(rollout, run, set(filter(str.isdigit, endpoint.deployed)) if endpoint else set(), step)


def _left(rollout: Rollout, run: RunId, targets: set[str], step: Step) -> Iterator[Envelope]:
    """What this rollout finds deployed and does not need, retired on the backend of the run."""
    for target in sorted(targets):
        event = RetirementDue(model=rollout.model, run=run, what="base", target=target)
        yield step.ledger.envelope(event, f"{rollout.opened.key}/left/{target}")


def of_staging(model: ModelName, window: int, step: Step) -> Iterator[Envelope]:
    """What stands on a staging endpoint, its run's or that of the run before, although its run is tested or over."""
    last = run_id(model, window)
    moved = moved_from([run_id(model, window - 1)] if window > 1 else [], last, step)
    for backend in (serving(each, step) for each in (last, moved) if each is not None):
        endpoint = backend.endpoint(staging_endpoint(model))
        for target in sorted(filter(str.isdigit, endpoint.deployed)) if endpoint else ():
            yield from _tested(model, run_id(model, int(target)), target, step)


def _tested(model: ModelName, run: RunId, target: str, step: Step) -> Iterator[Envelope]:
    if any(step.ledger.find(run_key(run, name)) for name in ("smoke", "end")):
        event = RetirementDue(model=model, run=run, what="staging", target=target)
        yield step.ledger.envelope(event, run_key(run, "staging/over"))


def _leave(rollout: Rollout, step: Step) -> Envelope:
    assert rollout.verdict is not None
    data = rollout.verdict.data
    event = RollbackRequested(
        model=rollout.model, rollout=rollout.number, by=data["by"], because=data["because"],
        set_aside=bool(data.get("set_aside")), numbers=data.get("numbers") or {},
    )  # fmt: skip
    return step.ledger.envelope(event, f"{rollout.verdict.key}/resume")


def _said(record: Record, kind: type) -> list[Envelope]:
    return [envelope for envelope in record.events if isinstance(envelope.payload, kind)]
