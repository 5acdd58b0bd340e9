"""A subscription's settings: Google's defaults filled in, everything that Google refuses refused. Pure."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from local.errors import Status, unimplemented
from local.pubsub import filters
from local.pubsub.limits import MAX_ACK_SECONDS, check_name, check_range, invalid

DEFAULT_ACK_SECONDS = 10
DAY_SECONDS = 86_400
_DEFAULT_RETENTION_SECONDS = 7 * DAY_SECONDS
_DEFAULT_EXPIRATION_SECONDS = 31 * DAY_SECONDS
_RETENTION_SECONDS = (600, 31 * DAY_SECONDS)
_BACKOFF_SECONDS = (10.0, 600.0)  # the default minimum and maximum; the maximum is also Google's limit
_DEFAULT_ATTEMPTS = 5
_ATTEMPTS = (5, 100)
# Without a retry policy Google delivers again at once; a loop without any pause would burn a laptop.
_FLOOR_SECONDS = 0.1
_IMMUTABLE = frozenset({"name", "topic", "filter"})
# Each changes what subscribers receive, and ignoring it in silence would be a lie.
_NOT_OFFERED_TO_SUBSCRIPTIONS = (
    "bigquery_config", "cloud_storage_config", "bigtable_config", "enable_exactly_once_delivery", "message_transforms",
    "enable_message_ordering",
)  # fmt: skip
_NOT_OFFERED_TO_TOPICS = ("schema_settings", "ingestion_data_source_settings", "message_transforms", "kms_key_name")


def completed(subscription: Any, least_ack_seconds: int = DEFAULT_ACK_SECONDS) -> Any:
    """A copy with Google's defaults; raises INVALID_ARGUMENT for what Google refuses, UNIMPLEMENTED for the rest."""
    complete = type(subscription)()
    complete.CopyFrom(subscription)
    _refuse(complete, _NOT_OFFERED_TO_SUBSCRIPTIONS)
    _fill_in(complete)
    _check_times(complete, least_ack_seconds)
    _check_push(complete.push_config)
    _check_retry(complete)
    _check_dead_letters(complete.dead_letter_policy)
    filters.parse(complete.filter)
    return complete


def check_topic(topic: Any) -> None:
    """Raises INVALID_ARGUMENT for what Google refuses, UNIMPLEMENTED for what is not offered here."""
    _refuse(topic, _NOT_OFFERED_TO_TOPICS)
    if topic.HasField("message_retention_duration"):
        _check_duration("message_retention_duration", topic.message_retention_duration, *_RETENTION_SECONDS)


def masked(standing: Any, wanted: Any, mask: Any, immutable: frozenset[str] = frozenset({"name"})) -> Any:
    """A copy of what stands, with the named fields of what is wanted; an unset field that is named is cleared."""
    _check_mask(standing, list(mask.paths), immutable)
    changed = type(standing)()
    changed.CopyFrom(standing)
    FieldMask(paths=mask.paths).MergeMessage(wanted, changed, replace_message_field=True, replace_repeated_field=True)
    return changed


def masked_subscription(standing: Any, wanted: Any, mask: Any) -> Any:
    """As `masked`; the topic and the filter of a subscription never change."""
    return masked(standing, wanted, mask, _IMMUTABLE)


def backoff_seconds(subscription: Any, attempt: int) -> float:
    """How long a message waits after its attempt failed: from the policy's minimum, doubling, to its maximum."""
    if not subscription.HasField("retry_policy"):
        return _FLOOR_SECONDS
    least, most = _backoffs(subscription.retry_policy)
    return min(max(most, _FLOOR_SECONDS), max(least, _FLOOR_SECONDS) * 2.0 ** min(attempt - 1, 32))


def is_exhausted(subscription: Any, attempt: int) -> bool:
    """Whether a message that failed this attempt belongs to the dead-letter topic."""
    policy = subscription.dead_letter_policy
    return bool(policy.dead_letter_topic) and attempt >= int(policy.max_delivery_attempts)


def retention_seconds(subscription: Any) -> float:
    return _seconds(subscription.message_retention_duration)


def _refuse(resource: Any, fields: Sequence[str]) -> None:
    offered = {field.name for field, _ in resource.ListFields()}
    for name in fields:
        if name in offered:
            raise unimplemented(name)


def _fill_in(subscription: Any) -> None:
    subscription.push_config.SetInParent()  # shown also where nothing is pushed
    subscription.ack_deadline_seconds = subscription.ack_deadline_seconds or DEFAULT_ACK_SECONDS
    if not subscription.HasField("message_retention_duration"):
        subscription.message_retention_duration.CopyFrom(Duration(seconds=_DEFAULT_RETENTION_SECONDS))
    if not subscription.HasField("expiration_policy"):
        subscription.expiration_policy.ttl.CopyFrom(Duration(seconds=_DEFAULT_EXPIRATION_SECONDS))
    policy = subscription.dead_letter_policy
    if policy.dead_letter_topic and not policy.max_delivery_attempts:
        policy.max_delivery_attempts = _DEFAULT_ATTEMPTS


def _check_times(subscription: Any, least_ack_seconds: int) -> None:
    check_range("ack_deadline_seconds", subscription.ack_deadline_seconds, least_ack_seconds, MAX_ACK_SECONDS)
    _check_duration("message_retention_duration", subscription.message_retention_duration, *_RETENTION_SECONDS)
    if subscription.expiration_policy.HasField("ttl"):
        _check_duration("expiration_policy.ttl", subscription.expiration_policy.ttl, DAY_SECONDS, float("inf"))


def _check_push(push: Any) -> None:
    if push.HasField("no_wrapper"):
        raise unimplemented("push_config.no_wrapper")
    if push.push_endpoint and not _is_endpoint(push.push_endpoint):
        raise invalid(f"Invalid push endpoint given (endpoint={push.push_endpoint}).")


def _is_endpoint(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _check_retry(subscription: Any) -> None:
    if not subscription.HasField("retry_policy"):
        return
    for name in ("minimum_backoff", "maximum_backoff"):
        _check_duration(f"retry_policy.{name}", getattr(subscription.retry_policy, name), 0, _BACKOFF_SECONDS[1])
    least, most = _backoffs(subscription.retry_policy)
    if least > most:
        raise invalid("The minimum backoff of a retry policy must not be greater than its maximum backoff.")


def _check_dead_letters(policy: Any) -> None:
    if policy.dead_letter_topic:
        check_name(policy.dead_letter_topic, "topics")
    if policy.max_delivery_attempts:
        # Google's emulator answers this one, and only this one, as out of range.
        check_range("max_delivery_attempts", policy.max_delivery_attempts, *_ATTEMPTS, Status.OUT_OF_RANGE)


def _check_duration(what: str, duration: Any, least: float, most: float) -> None:
    seconds = _seconds(duration)
    if not least <= seconds <= most:
        raise invalid(f"Invalid {what}: {seconds:g} s. It must be between {least:g} s and {most:g} s.")


def _check_mask(standing: Any, paths: list[str], immutable: frozenset[str]) -> None:
    if not paths:
        raise invalid("The update_mask must be set, and must contain a non-empty paths list.")
    for path in paths:
        if not FieldMask(paths=[path]).IsValidForDescriptor(standing.DESCRIPTOR):
            raise invalid(f"Invalid update_mask provided in the request: '{path}' is not a field.")
        if path.split(".")[0] in immutable:
            raise invalid(f"Invalid update_mask provided in the request: '{path}' cannot be changed.")


def _backoffs(policy: Any) -> tuple[float, float]:
    least, most = _BACKOFF_SECONDS
    if policy.HasField("minimum_backoff"):
        least = _seconds(policy.minimum_backoff)
    if policy.HasField("maximum_backoff"):
        most = _seconds(policy.maximum_backoff)
    return least, most


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9
