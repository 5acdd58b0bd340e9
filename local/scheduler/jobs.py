"""What a job may be, and how it changes; pure. The forms and refusals are those of Cloud Scheduler's REST API."""

import base64
import binascii
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local import fields
from local.errors import CloudError, Status
from local.fields import Document
from local.scheduler.cron import Cron, parsed
from local.scheduler.minutes import Minutes, local_time

_NAME = re.compile(r"projects/(?P<project>[^/:]+)/locations/[^/:]+/jobs/[A-Za-z0-9_-]{1,500}")
_TOPIC = re.compile(r"projects/(?P<project>[^/]+)/topics/[^/]+")
_GIVEN = ("description", "pubsubTarget", "schedule", "timeZone", "retryConfig", "attemptDeadline")
_MAX_RETRIES = 5
_DEFAULT_DOUBLINGS = 5
_MAX_DOUBLINGS = 1000
_SEARCHED_DAYS = 5 * 366  # a 29th of February comes within five years, or nearly always


def created(wanted: Document, name: str, now: str) -> Document:
    """A new job; INVALID_ARGUMENT for what Google refuses, UNIMPLEMENTED for targets that are not topics."""
    given = {field: wanted[field] for field in _GIVEN if wanted.get(field) is not None}
    return _checked({"name": name, "state": "ENABLED", **given, "userUpdateTime": now})


def changed(job: Document, wanted: Document, paths: Collection[str], now: str) -> Document:
    """The job with the masked fields (all, without a mask) as wanted."""
    for path in paths:
        if path.split(".")[0] not in _GIVEN or path.count(".") > 1:
            raise CloudError(Status.INVALID_ARGUMENT, f"The update mask names what cannot be changed: {path[:100]}")
    for path in paths or _GIVEN:
        job = _masked(job, wanted, path)
    return _checked({**job, "userUpdateTime": now})


def named(parent: str, wanted: Document, number: int) -> str:
    """The name that a new job asks for, or a name of ours."""
    name = fields.text(wanted, "name") or f"{parent}/jobs/{number}"
    if not _NAME.fullmatch(name) or not name.startswith(f"{parent}/jobs/"):
        raise CloudError(Status.INVALID_ARGUMENT, f"Job name must be {parent}/jobs/ID: {name[:200]}")
    return name


def due(job: Document, minute: int) -> bool:
    """Whether a job runs in the minute of this number."""
    return bool(job["state"] == "ENABLED" and _cron(job).meets(local_time(minute, _zone(job))))


def shown(job: Document, minutes: Minutes, now_seconds: float) -> Document:
    """The job as clients see it, with the time of its next run."""
    following = _next_minute(job, minutes.at(now_seconds) + 1)
    if following is None or job["state"] != "ENABLED":
        return job
    return {**job, "scheduleTime": timestamp(minutes.begins(following))}


def attempted(job: Document, at: str, error: str) -> Document:
    """The job after an attempt; an error is what it last came to."""
    return {**job, "lastAttemptTime": at, "status": {"code": 14, "message": error} if error else {}}


def message_of(job: Document) -> tuple[str, bytes, dict[str, str]]:
    """The topic that a job publishes to, and what: data and attributes."""
    target = job["pubsubTarget"]
    return target["topicName"], base64.b64decode(target.get("data") or ""), dict(target.get("attributes") or {})


def retry_pauses(job: Document) -> list[float]:
    """How long is waited before each further attempt, in seconds: doubled, then longer by the same each time.

    https://cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#RetryConfig
    """
    config = fields.part(job, "retryConfig")
    least = fields.duration_seconds(config, "minBackoffDuration") or 5.0
    most = fields.duration_seconds(config, "maxBackoffDuration") or 3600.0
    doublings = _count(config, "maxDoublings", _MAX_DOUBLINGS) if "maxDoublings" in config else _DEFAULT_DOUBLINGS
    pauses = [2.0 ** min(place, doublings) * max(1, place - doublings + 1) for place in range(_retries(config))]
    return [min(least * pause, most) for pause in pauses]


def timestamp(seconds: float) -> str:
    """A time in seconds after the epoch, as Google writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _masked(standing: Document, wanted: Document, path: str) -> Document:
    """What stands, with one field, or a field of a field, as wanted; not wanted at all, it goes."""
    first, _, rest = path.partition(".")
    value = _masked(fields.part(standing, first), fields.part(wanted, first), rest) if rest else wanted.get(first)
    kept = {key: each for key, each in standing.items() if key != first}
    return kept if value is None else {**kept, first: value}


def _checked(job: Document) -> Document:
    fields.text(job, "description")
    fields.duration_seconds(job, "attemptDeadline")
    retry_pauses(job)
    _check_target(job)
    _cron(job)
    return {**job, "timeZone": fields.text(job, "timeZone") or "Etc/UTC"}


def _check_target(job: Document) -> None:
    if "pubsubTarget" not in job:
        raise CloudError(Status.UNIMPLEMENTED, "The local Cloud Scheduler has no targets but topics.")
    target = fields.part(job, "pubsubTarget")
    topic, name = _TOPIC.fullmatch(fields.required_text(target, "topicName")), _NAME.fullmatch(job["name"])
    if topic is None or name is None or topic["project"] != name["project"]:
        raise CloudError(Status.INVALID_ARGUMENT, "Job.pubsub_target.topic_name must be a topic of the job's project.")
    attributes = fields.part(target, "attributes")
    if not all(isinstance(value, str) for value in attributes.values()):
        raise CloudError(Status.INVALID_ARGUMENT, "Invalid value at 'job.pubsub_target.attributes' (TYPE_STRING)")
    try:
        data = base64.b64decode(fields.text(target, "data"), validate=True)
    except (binascii.Error, ValueError) as error:
        told = "Invalid value at 'job.pubsub_target.data' (TYPE_BYTES), Base64 decoding failed"
        raise CloudError(Status.INVALID_ARGUMENT, told) from error
    if not data and not attributes:
        told = "Pubsub message must contain either non-empty data, or at least one attribute."
        raise CloudError(Status.INVALID_ARGUMENT, told)


def _cron(job: Document) -> Cron:
    try:
        _zone(job)
        return parsed(fields.text(job, "schedule"))
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise CloudError(Status.INVALID_ARGUMENT, "Schedule or time zone is invalid.") from error


def _zone(job: Document) -> tzinfo:
    name = fields.text(job, "timeZone") or "Etc/UTC"
    try:
        return UTC if name in ("Etc/UTC", "UTC") else ZoneInfo(name)
    except OSError as error:  # a folder of the zones' files
        raise ValueError(name) from error


def _retries(config: Document) -> int:
    return _count(config, "retryCount", _MAX_RETRIES)


def _count(config: Document, field: str, most: int) -> int:
    count = config.get(field) or 0
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= most:
        raise CloudError(Status.INVALID_ARGUMENT, f"Job.retryConfig.{field} must be between 0 and {most}.")
    return count


def _next_minute(job: Document, first: int) -> int | None:
    """The next minute in which a job runs; a time of day that the clocks skip is none."""
    cron, zone = _cron(job), _zone(job)
    day = local_time(first, zone).replace(tzinfo=None)
    for _ in range(_SEARCHED_DAYS):
        for at in cron.times(day):
            minute = int(at.replace(tzinfo=zone).timestamp() // 60)
            if minute >= first and cron.meets(local_time(minute, zone)):
                return minute
        day += timedelta(days=1)
    return None
