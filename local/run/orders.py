"""What a service may be asked to become; pure. The refusals are Google's.

ordered (generation n, reconciling) ──► revisions ready ──► trafficStatuses = traffic, observedGeneration = n
                                   └──► a revision never ready: the order failed, trafficStatuses stay
"""

import re
from collections.abc import Iterable
from typing import Any

from local import fields
from local.errors import CloudError, Status
from local.fields import Document

ALL = 100
CHANGEABLE = ("annotations", "labels", "scaling", "template", "traffic")
_SERVICE_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,47}[a-z0-9])?")
_REVISION_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_BY_REVISION = ("TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", 2)


def checked_id(identity: str) -> str:
    if not _SERVICE_ID.fullmatch(identity):
        raise CloudError(Status.INVALID_ARGUMENT, f"Violation in CreateServiceRequest.service_id: {identity[:100]!r}")
    return identity


def changes(wanted: Document, paths: Iterable[str]) -> Document:
    """The part of a service that an order names."""
    unknown = [path for path in paths if path not in CHANGEABLE]
    if unknown:
        raise CloudError(Status.UNIMPLEMENTED, f"{', '.join(unknown)} cannot be changed in the local Cloud Run.")
    return {path: wanted[path] for path in paths if path in wanted}


def revision_name(service: str, template: Document) -> str:
    """The name of the revision that a template makes."""
    name, prefix = fields.required_text(template, "revision"), service.rsplit("/", 1)[-1]
    if not name.startswith(f"{prefix}-") or not _REVISION_ID.fullmatch(name):
        raise CloudError(
            Status.INVALID_ARGUMENT, f"template.revision: {name!r} must be prefixed by the service's name."
        )
    return name


def shares(traffic: list[Document], known: Iterable[str]) -> dict[str, int]:
    """Percent by revision, checked: they add up, tags are unlike, every revision is there."""
    found: dict[str, int] = {}
    tags = [fields.text(each, "tag") for each in traffic if each.get("tag")]
    for target in traffic:
        if target.get("type") not in _BY_REVISION:
            raise CloudError(Status.UNIMPLEMENTED, "The local Cloud Run sends traffic to named revisions only.")
        revision = fields.required_text(target, "revision")
        if revision not in known:
            raise CloudError(Status.INVALID_ARGUMENT, f"Revision {revision} does not exist.")
        found[revision] = found.get(revision, 0) + int(target.get("percent", 0))
    if sum(found.values()) != ALL or any(not 0 <= share <= ALL for share in found.values()):
        raise CloudError(Status.INVALID_ARGUMENT, "Traffic percentages must add up to 100.")
    if len(tags) != len(set(tags)):
        raise CloudError(Status.INVALID_ARGUMENT, "Traffic tags must be unique within a service.")
    return found


def statuses(service: Document) -> list[Document]:
    """What `trafficStatuses` tells once an order is carried out."""
    kept = ("type", "revision", "percent", "tag")
    address = service["uri"].rsplit("/", 1)
    return [
        {**{key: target[key] for key in kept if key in target},
         **({"uri": f"{address[0]}/{target['tag']}---{address[1]}"} if target.get("tag") else {})}
        for target in service["traffic"]
    ]  # fmt: skip


def least_instances(service: Document) -> int:
    """How many instances the service keeps up without requests."""
    return int(fields.part(service, "scaling").get("minInstanceCount", 0))


def condition(state: str, message: str = "") -> dict[str, Any]:
    return {"type": "Ready", "state": state, **({"message": message} if message else {})}
