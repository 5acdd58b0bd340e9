"""A Cloud Run service as an endpoint: which revisions are deployed models, who has which share, what is written next.

A deployed model is a revision with a tag, and its tag is `d` and its id; a revision without one costs nothing and is
nobody's. So one list, `traffic`, holds both what is deployed and how the traffic is split, and one etag guards it.
`traffic` is what was ordered last, `trafficStatuses` what is carried out: a revision enters it when it is ready.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shared.serving import Endpoint

ALL = 100
_TAG = "d"
_OURS = re.compile(rf"{_TAG}(\d+)")  # a person may have put a tag of his own on a revision
_MAX_SERVICE_NAME = 40  # so that a tag, the name and what Google adds stay within a label of the DNS
_VERSION = "serin.dev/version-"


def service_id(endpoint: str) -> str:
    """The service's name: the endpoint's, with its end replaced by a digest where it would be too long."""
    if len(endpoint) <= _MAX_SERVICE_NAME:
        return endpoint
    return f"{endpoint[: _MAX_SERVICE_NAME - 9]}-{hashlib.sha256(endpoint.encode()).hexdigest()[:8]}"


def revision_of(service: str, deployed_model: str) -> str:
    """The name of a deployed model's revision."""
    return f"{service}-{_TAG}{deployed_model}"


def endpoint_of(service: Any) -> Endpoint:
    """The service as an endpoint; who has or is to have traffic is named with the larger of the two shares."""
    ordered, carried_out = _shares(service.traffic), _shares(service.traffic_statuses)
    larger = {each: max(ordered.get(each, 0), carried_out.get(each, 0)) for each in sorted({*ordered, *carried_out})}
    return Endpoint(
        name=service.name,
        etag=service.etag,
        split={each: share for each, share in larger.items() if share},
        deployed={each: service.annotations.get(f"{_VERSION}{each}", "") for each in sorted(carried_out)},
        # As long as the order names them, instances are kept for them too.
        failed=frozenset() if service.reconciling else frozenset(ordered) - set(carried_out),
    )


def standing(service: Any) -> dict[str, int]:
    """What was ordered, by deployed model, of those that are ready.

    An order that named a revision which failed to start would fail too, and one that named a starting revision would
    wait for it: an order about traffic waits for nobody.
    """
    carried_out = _shares(service.traffic_statuses)
    return {each: share for each, share in _shares(service.traffic).items() if each in carried_out}


def settled(service: Any) -> bool:
    """Whether what was ordered is carried out."""
    return not service.reconciling and _shares(service.traffic) == _shares(service.traffic_statuses)


def with_new(shares: Mapping[str, int], deployed_model: str, split: Mapping[str, int]) -> dict[str, int]:
    """The shares with one more deployed model: dark, unless it is the only one or the split names it (as `0`)."""
    if not any(shares.values()):
        return {**shares, deployed_model: ALL}
    wanted = {deployed_model if each == "0" else each: share for each, share in split.items()} or shares
    return {each: wanted.get(each, 0) for each in (*shares, deployed_model)}


def targets(service: str, shares: Mapping[str, int]) -> list[dict[str, Any]]:
    """The list to be written."""
    kind = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"
    return [
        {"type_": kind, "revision": revision_of(service, each), "percent": share, "tag": f"{_TAG}{each}"}
        for each, share in sorted(shares.items())
    ]


def versions(service: Any, added: Mapping[str, str]) -> dict[str, str]:
    """The annotations to be written: the version of every deployed model that stands, and of those added."""
    kept = {key: value for key, value in service.annotations.items() if not key.startswith(_VERSION)} if service else {}
    stand = {each: service.annotations.get(f"{_VERSION}{each}", "") for each in standing(service)} if service else {}
    return {**kept, **{f"{_VERSION}{each}": version for each, version in {**stand, **added}.items()}}


def instances_kept(shares: Mapping[str, int]) -> int:
    """How many instances stay up without requests: one per arm while a canary is watched, else none."""
    return len(shares) if len(shares) > 1 else 0


def _shares(entries: Iterable[Any]) -> dict[str, int]:
    found = [(_OURS.fullmatch(entry.tag), entry.percent) for entry in entries]
    tagged = [(tag[1], share) for tag, share in found if tag]
    return {each: sum(share for tag, share in tagged if tag == each) for each, _ in tagged}
