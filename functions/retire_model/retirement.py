"""Taking away what nobody needs: looked at again before it goes, and gone already is done."""

from dataclasses import replace

from shared.backends import serving
from shared.errors import Conflict, NotYet, Refused
from shared.events import RetirementDue
from shared.ids import STAGING_SUFFIX
from shared.ledger import rollout_key
from shared.rollouts import Deployed, arms_of, newest, production, production_endpoint, staging_endpoint
from shared.serving import ServingBackend
from shared.settings import settings_of
from shared.step import Events, Step
from shared.vertex import Version


def retire(event: RetirementDue, step: Step) -> Events:
    """Undeploys or deletes the target; NotYet while it still has traffic or its endpoint is busy."""
    match event.what:
        case "staging":
            _undeploy(staging_endpoint(event.model), event.target, serving(event.run, step))
        case "base":
            if not _needed(event, step):
                _undeploy(production_endpoint(event.model), event.target, serving(event.run, step))
        case "version":
            # An event is a hint: only a version of this model goes, and only if nothing stands on it.
            named = [each for each in step.cloud.vertex.versions(event.model) if each.name == event.target]
            _delete(_unneeded(named, event, step), step)
        case "versions":
            _delete(_older(event, step), step)
    return ()


def _needed(event: RetirementDue, step: Step) -> bool:
    """Whether the newest rollout still goes back to the target, or has it in production."""
    rollout = newest(step.ledger, event.model)
    if rollout is None:
        return False
    production = rollout.production
    open_base = rollout.base if rollout.end is None else None
    return event.target in {each.id for each in (production, open_base) if each is not None}


def _older(event: RetirementDue, step: Step) -> list[str]:
    """The versions beyond the newest few that nothing stands on and nothing would go back to.

    How many those are is a setting of the run in production, whichever run's event says that some are too old.
    """
    champion = production(step.ledger, event.model)
    if champion is None:
        return []
    kept = settings_of(step.ledger, champion.run).serving.versions_kept
    return _unneeded(_with_default(champion, event, step)[:-kept], event, step)


def _with_default(champion: Deployed, event: RetirementDue, step: Step) -> list[Version]:
    """The model's versions, once the registry's default is the one in production: that one is never deleted."""
    versions = step.cloud.vertex.versions(event.model)
    if all(each.default or each.name != champion.version for each in versions):
        return versions
    step.cloud.vertex.make_default(champion.version)
    return [replace(each, default=each.name == champion.version) for each in versions]


def _unneeded(versions: list[Version], event: RetirementDue, step: Step) -> list[str]:
    """Those of the model's versions that nothing stands on and nothing would go back to."""
    names = (production_endpoint(event.model), staging_endpoint(event.model))
    endpoints = [endpoint for endpoint in map(serving(event.run, step).endpoint, names) if endpoint is not None]
    needed = {version for endpoint in endpoints for version in endpoint.deployed.values()}
    needed |= {arm.version for arm in _arms(event, step)}
    free = [version for version in versions if not version.default and version.endpoints <= set(names)]
    return [version.name for version in free if version.name not in needed]


def _arms(event: RetirementDue, step: Step) -> list[Deployed]:
    """Those of the newest rollout, and what a return from production would go back to."""
    rollout = newest(step.ledger, event.model)
    if rollout is None:
        return []
    champion = rollout.production
    brought = step.ledger.find(rollout_key(event.model, int(champion.id), "opened")) if champion else None
    before = arms_of(brought)[1] if brought else None
    return [arm for arm in (rollout.candidate, rollout.base, before) if arm is not None]


def _undeploy(endpoint: str, target: str, backend: ServingBackend) -> None:
    found = backend.endpoint(endpoint)
    if found is None or target not in found.deployed:
        return
    if found.split.get(target) and len(found.deployed) > 1:
        _hand_over(endpoint, target, backend)
    try:
        backend.undeploy(endpoint, target)
    except (Conflict, Refused) as busy:
        raise NotYet(f"an endpoint that is free: {busy}") from busy


def _hand_over(endpoint: str, target: str, backend: ServingBackend) -> None:
    """Takes the traffic of a staging endpoint from the target; production's traffic is never touched here."""
    found = backend.endpoint(endpoint)
    if found is None or not endpoint.endswith(STAGING_SUFFIX):
        raise NotYet("the end of its traffic")
    other = next(each for each in found.deployed if each != target)
    backend.set_split(found, {other: 100})


def _delete(versions: list[str], step: Step) -> None:
    """Deletes what can be deleted; NotYet if something has to wait."""
    waiting = [version for version in versions if not _deleted(version, step)]
    if waiting:
        raise NotYet(f"versions that are deployed nowhere: {', '.join(waiting)}")


def _deleted(version: str, step: Step) -> bool:
    try:
        step.cloud.vertex.delete_version(version)
    except Refused as refused:
        return refused.absent
    return True
