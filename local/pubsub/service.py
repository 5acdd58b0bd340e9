"""What every method does with a broker, whatever wire it came on: Google's request in, its answer or CloudError out."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.field_mask_pb2 import FieldMask
from google.pubsub_v1 import types

from local.errors import CloudError, Status
from local.pubsub.broker import Broker
from local.pubsub.limits import MAX_MESSAGES, MAX_PAGE, check_range, invalid
from local.pubsub.streaming import received, refuse_push
from local.pubsub.subscription import Delivery, Subscription

_PULL_WAIT_SECONDS = 2.0  # Google waits "a bounded time"; a puller that finds nothing asks again
_MOST = 2**31


@dataclass(frozen=True)
class Method:
    """One method: the type of its request, and what it does; an answer that can be awaited comes later."""

    request: Any
    act: Callable[[Broker, Any], Any]


async def call(broker: Broker, name: str, request: Any) -> Any:
    """Answers a method of METHODS once everything that it has done is kept; raises CloudError, and nothing else."""
    try:
        answer = METHODS[name].act(broker, request)
        if isinstance(answer, Awaitable):
            answer = await answer
        await broker.kept()
    except CloudError:
        raise
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)
        raise CloudError(Status.INTERNAL, "An internal error has occurred.") from error
    return Empty() if answer is None else answer


# Publisher


def _publish(broker: Broker, request: Any) -> Any:
    return types.PublishResponse.pb()(message_ids=broker.publish(request))


def _list_topics(broker: Broker, request: Any) -> Any:
    topics, token = _page(broker.topics(request.project), request, lambda topic: str(topic.name))
    return types.ListTopicsResponse.pb()(topics=topics, next_page_token=token)


def _list_subscriptions_of(broker: Broker, request: Any) -> Any:
    names, token = _page(broker.subscriptions_of(request.topic), request, str)
    return types.ListTopicSubscriptionsResponse.pb()(subscriptions=names, next_page_token=token)


# Subscriber


def _list_subscriptions(broker: Broker, request: Any) -> Any:
    found, token = _page(broker.subscriptions(request.project), request, lambda config: str(config.name))
    return types.ListSubscriptionsResponse.pb()(subscriptions=found, next_page_token=token)


def _modify_push_config(broker: Broker, request: Any) -> None:
    wanted = types.Subscription.pb()(name=request.subscription, push_config=request.push_config)
    broker.update_subscription(wanted, FieldMask(paths=["push_config"]))


def _acknowledge(broker: Broker, request: Any) -> None:
    _with_ack_ids(broker, request).acknowledge(request.ack_ids)


def _modify_ack_deadline(broker: Broker, request: Any) -> None:
    _with_ack_ids(broker, request).modify(request.ack_ids, request.ack_deadline_seconds)


def _with_ack_ids(broker: Broker, request: Any) -> Subscription:
    subscription = broker.subscription(request.subscription)
    if not request.ack_ids:
        raise invalid("No ack ids specified.")
    return subscription


async def _pull(broker: Broker, request: Any) -> Any:
    """What is ready now, or the first that comes within a short while."""
    subscription = broker.subscription(request.subscription)
    refuse_push(subscription.config)
    check_range("max_messages", request.max_messages, 1, _MOST)
    most = min(request.max_messages, MAX_MESSAGES)
    deliveries = subscription.lease(most)
    if not deliveries and not request.return_immediately:
        deliveries = await _first(subscription, most)
    tells = subscription.tells_attempts
    return types.PullResponse.pb()(received_messages=[received(each, tells) for each in deliveries])


async def _first(subscription: Subscription, most: int) -> list[Delivery]:
    changed = asyncio.Event()
    unwatch = subscription.watch(changed.set)
    try:
        async with asyncio.timeout(_PULL_WAIT_SECONDS):
            while True:
                await changed.wait()
                changed.clear()
                if deliveries := subscription.lease(most):
                    return deliveries
    except TimeoutError:
        return []
    finally:
        unwatch()


def _page(found: Sequence[Any], request: Any, name: Callable[[Any], str]) -> tuple[list[Any], str]:
    """One page of a sorted list; its token is the last name on it."""
    check_range("page_size", request.page_size, 0, _MOST)
    size = min(request.page_size or MAX_PAGE, MAX_PAGE)
    left = [each for each in found if name(each) > request.page_token]
    return left[:size], name(left[size - 1]) if len(left) > size else ""


METHODS: Mapping[str, Method] = {
    "Publisher/CreateTopic": Method(types.Topic, Broker.create_topic),
    "Publisher/GetTopic": Method(types.GetTopicRequest, lambda broker, request: broker.topic(request.topic)),
    "Publisher/ListTopics": Method(types.ListTopicsRequest, _list_topics),
    "Publisher/UpdateTopic": Method(
        types.UpdateTopicRequest, lambda broker, request: broker.update_topic(request.topic, request.update_mask)
    ),
    "Publisher/DeleteTopic": Method(
        types.DeleteTopicRequest, lambda broker, request: broker.delete_topic(request.topic)
    ),
    "Publisher/Publish": Method(types.PublishRequest, _publish),
    "Publisher/ListTopicSubscriptions": Method(types.ListTopicSubscriptionsRequest, _list_subscriptions_of),
    "Subscriber/CreateSubscription": Method(types.Subscription, Broker.create_subscription),
    "Subscriber/GetSubscription": Method(
        types.GetSubscriptionRequest, lambda broker, request: broker.subscription(request.subscription).config
    ),
    "Subscriber/ListSubscriptions": Method(types.ListSubscriptionsRequest, _list_subscriptions),
    "Subscriber/UpdateSubscription": Method(
        types.UpdateSubscriptionRequest,
        lambda broker, request: broker.update_subscription(request.subscription, request.update_mask),
    ),
    "Subscriber/DeleteSubscription": Method(
        types.DeleteSubscriptionRequest, lambda broker, request: broker.delete_subscription(request.subscription)
    ),
    "Subscriber/ModifyPushConfig": Method(types.ModifyPushConfigRequest, _modify_push_config),
    "Subscriber/Acknowledge": Method(types.AcknowledgeRequest, _acknowledge),
    "Subscriber/ModifyAckDeadline": Method(types.ModifyAckDeadlineRequest, _modify_ack_deadline),
    "Subscriber/Pull": Method(types.PullRequest, _pull),
}
