"""What a run needs beyond the plan's steps: images that are there, pinned by digest, and room under Google's quotas."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.doctor.asking import at
from cli.doctor.findings import Finding, unknown
from cli.doctor.places import OnGoogle
from deploy.gcloud import absent
from deploy.target import Target, deployed_name
from shared.settings import ServingSettings, TrainingSettings

_MACHINE = re.compile(r"[a-z][a-z0-9]*-[a-z]+-(\d+)")
_VERTEX = "aiplatform.googleapis.com"
_DEPLOYMENTS_AT_ONCE = 3  # the staged challenger, the canary, and the model before it
_WITHOUT_LIMIT = -1


def images(place: OnGoogle, target: Target) -> Iterator[Finding]:
    """Both images: named by digest, and in their repository. What is not given is what the functions were told."""
    for kind, given, function, variable in (
        ("training", target.training_image, "launch_training", "SERIN_TRAINING_IMAGE"),
        ("serving", target.serving_image, "stage_model", "SERIN_SERVING_IMAGE"),
    ):
        yield _image(place, f"the {kind} image", given or _told(place, function, variable))


def _told(place: OnGoogle, function: str, variable: str) -> str:
    found = place.look(("functions", "describe", deployed_name(function), f"--region={place.region}"))
    return str(at(found.resource or {}, f"serviceConfig.environmentVariables.{variable}"))


def _image(place: OnGoogle, what: str, image: str) -> Finding:
    if not image:
        return Finding("images", what, "wrong", "no deployed function names one", (place.deploying,))
    if "@sha256:" not in image:
        return Finding("images", what, "wrong", f"{image} is not named by its digest", (place.deploying,))
    if "-docker.pkg.dev/" not in image:
        return Finding("images", what, "unknown", f"{image} is not in Artifact Registry, where alone is looked")
    found = place.look(("artifacts", "docker", "images", "describe", image))
    if absent(found.answer):
        return Finding("images", what, "wrong", f"{image} is not there", (place.deploying,))
    return Finding("images", what, "unknown" if found.answer.status else "fine", found.answer.err)


@dataclass(frozen=True)
class Need:
    """How much of a quota of Vertex AI a model needs in its region; `amount` is None where that is not known."""

    what: str
    metric: str
    amount: int | None


def needs(training: TrainingSettings, serving: ServingSettings) -> tuple[Need, ...]:
    """What one run of a model with these settings takes: a training job, and three deployments at once."""
    spot = "preemptible_" if training.spot else ""
    cpus, each = _cpus(training.machine_type), _cpus(serving.machine_type)
    at_once = None if each is None else _DEPLOYMENTS_AT_ONCE * serving.replicas_min * each
    found = [
        Need(f"CPUs to train on {training.machine_type}", f"{_VERTEX}/custom_model_training_{spot}cpus", cpus),
        Need(f"CPUs to serve on {serving.machine_type}", f"{_VERTEX}/custom_model_serving_cpus", at_once),
    ]
    if training.accelerator_count:
        kind = training.accelerator_type.lower().replace("tesla_", "")
        metric = f"{_VERTEX}/custom_model_training_{spot}{kind}_gpus"
        found.append(Need(f"{training.accelerator_type} to train on", metric, training.accelerator_count))
    return tuple(found)


def quotas(place: OnGoogle, wanted: tuple[Need, ...]) -> Iterator[Finding]:
    """Each need held against the quota that is in force in the region."""
    look = ("quotas", "info", "list", f"--service={_VERTEX}")
    found = place.look(look)
    for need in wanted:
        if found.answer.status:
            yield unknown("quotas", need.what, look, found, place)
        else:
            yield _quota(place, need, found.resource.get("quotaInfos", []))


def _quota(place: OnGoogle, need: Need, infos: list[Mapping[str, Any]]) -> Finding:
    limits = [(info, limit) for info in infos if (limit := _limit(info, need.metric, place.region)) is not None]
    if need.amount is None:
        return Finding("quotas", need.what, "unknown", "how many CPUs that machine has is not known here")
    if not limits:
        return Finding("quotas", need.what, "unknown", f"Google tells of no quota {need.metric} in {place.region}")
    info, limit = min(limits, key=lambda each: each[1] if each[1] != _WITHOUT_LIMIT else 2**63)
    if limit == _WITHOUT_LIMIT or limit >= need.amount:
        return Finding("quotas", need.what, "fine")
    why = f"{limit} are allowed in {place.region}, {need.amount} are needed"
    asking = (
        f"gcloud beta quotas preferences create --service={_VERTEX} --quota-id={info['quotaId']} "
        f"--preferred-value={need.amount} --dimensions=region={place.region} --project={place.project}"
    )
    return Finding("quotas", need.what, "wrong", why, (asking,))


def _limit(info: Mapping[str, Any], metric: str, region: str) -> int | None:
    """The value in force, from the most specific entry for the region; Google lists those first. -1: no limit."""
    if info.get("metric") != metric:
        return None
    for entry in info.get("dimensionsInfos", []):
        named, places = entry.get("dimensions", {}).get("region"), entry.get("applicableLocations", [])
        if named == region or (named is None and (not places or region in places)):
            return int(entry.get("details", {}).get("value", 0))
    return None


def _cpus(machine_type: str) -> int | None:
    named = _MACHINE.fullmatch(machine_type)
    return int(named[1]) if named else None
