"""The gRPC wire of Pub/Sub: Google's own messages in and out, every method that Serin uses and no other."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

from local.errors import CloudError
from local.pubsub.state import Delivery, State

_MOST_AT_ONCE = 1000
_PULL_WAIT_SECONDS = 2.0
Method = Callable[[Any, Any], Any]


def handlers(state: State) -> list[grpc.GenericRpcHandler]:
    """The two services, to be added to a gRPC server; what they do not have gRPC itself answers as unimplemented."""
    publisher = {
        "CreateTopic": _unary(types.Topic, lambda request, _: state.create_topic(request)),
        "GetTopic": _unary(types.GetTopicRequest, lambda request, _: state.topic(request.topic)),
        "ListTopics": _unary(types.ListTopicsRequest, lambda request, _: _topics(state, request)),
        "UpdateTopic": _unary(
            types.UpdateTopicRequest, lambda request, _: state.update_topic(request.topic, request.update_mask.paths)
        ),
        "DeleteTopic": _silent(types.DeleteTopicRequest, lambda request: state.delete_topic(request.topic)),
        "Publish": _unary(types.PublishRequest, lambda request, _: _published(state, request)),
        "ListTopicSubscriptions": _unary(
            types.ListTopicSubscriptionsRequest, lambda request, _: _of_topic(state, request)
        ),
    }
    subscriber = {
        "CreateSubscription": _unary(types.Subscription, lambda request, _: state.create_subscription(request)),
        "GetSubscription": _unary(
            types.GetSubscriptionRequest, lambda request, _: state.subscription(request.subscription)
        ),
        "ListSubscriptions": _unary(types.ListSubscriptionsRequest, lambda request, _: _subscriptions(state, request)),
        "UpdateSubscription": _unary(
            types.UpdateSubscriptionRequest,
            lambda request, _: state.update_subscription(request.subscription, request.update_mask.paths),
        ),
        "DeleteSubscription": _silent(
            types.DeleteSubscriptionRequest, lambda request: state.delete_subscription(request.subscription)
        ),
        "ModifyPushConfig": _silent(types.ModifyPushConfigRequest, lambda request: _push_config(state, request)),
        "Pull": _unary(types.PullRequest, lambda request, context: _pulled(state, request, context)),
        "Acknowledge": _silent(types.AcknowledgeRequest, lambda request: state.acknowledge(request.ack_ids)),
        "ModifyAckDeadline": _silent(
            types.ModifyAckDeadlineRequest,
            lambda request: state.extend(request.ack_ids, request.ack_deadline_seconds),
        ),
        "StreamingPull": grpc.stream_stream_rpc_method_handler(
            lambda requests, context: _streamed(state, requests, context),
            request_deserializer=types.StreamingPullRequest.pb().FromString,
            response_serializer=_bytes,
        ),
    }
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
    ]


def _unary(request: Any, method: Method) -> grpc.RpcMethodHandler:
    def answered(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return method(message, context)
        except CloudError as error:
            context.abort(error.grpc_code, error.message)

    return grpc.unary_unary_rpc_method_handler(
        answered, request_deserializer=request.pb().FromString, response_serializer=_bytes
    )


def _bytes(message: Any) -> bytes:
    return message.SerializeToString()  # type: ignore[no-any-return]


def _silent(request: Any, act: Callable[[Any], None]) -> grpc.RpcMethodHandler:
    """A method whose answer says only that it was done."""

    def done(message: Any, _context: Any) -> Any:
        act(message)
        return Empty()

    return _unary(request, done)


def _topics(state: State, request: Any) -> Any:
    return types.ListTopicsResponse.pb()(topics=state.topics(request.project))


def _subscriptions(state: State, request: Any) -> Any:
    return types.ListSubscriptionsResponse.pb()(subscriptions=state.subscriptions(project=request.project))


def _of_topic(state: State, request: Any) -> Any:
    state.topic(request.topic)
    names = [each.name for each in state.subscriptions(topic=request.topic)]
    return types.ListTopicSubscriptionsResponse.pb()(subscriptions=names)


def _published(state: State, request: Any) -> Any:
    return types.PublishResponse.pb()(message_ids=state.publish(request.topic, request.messages))


def _push_config(state: State, request: Any) -> None:
    wanted = types.Subscription.pb()(name=request.subscription, push_config=request.push_config)
    state.update_subscription(wanted, ["push_config"])


def _pulled(state: State, request: Any, context: grpc.ServicerContext) -> Any:
    """What is due now, or the first that comes within a short while."""
    end = time.monotonic() + (0 if request.return_immediately else _PULL_WAIT_SECONDS)
    with state.changed:
        while True:
            found = state.lease(request.subscription, request.max_messages or 1)
            left = min(end - time.monotonic(), context.time_remaining() or _PULL_WAIT_SECONDS)
            if found or left <= 0:
                return types.PullResponse.pb()(received_messages=[_received(state, each) for each in found])
            state.changed.wait(min(left, state.next_due_seconds(request.subscription)))


def _received(state: State, delivery: Delivery) -> Any:
    told = bool(state.subscription(delivery.subscription).dead_letter_policy.dead_letter_topic)
    return types.ReceivedMessage.pb()(
        ack_id=delivery.ack_id, message=delivery.message, delivery_attempt=delivery.attempt if told else 0
    )


def _streamed(state: State, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
    """Sends what is due until the client leaves; never more at once than the client's flow control allows."""
    first = next(requests)
    name, most = first.subscription, first.max_outstanding_messages or _MOST_AT_ONCE
    try:
        state.subscription(name)
    except CloudError as error:
        context.abort(error.grpc_code, error.message)
    out: set[str] = set()
    reader = threading.Thread(target=_read_acks, args=(state, requests, out), daemon=True)
    reader.start()
    context.add_callback(lambda: _wake(state))
    while context.is_active():
        with state.changed:
            try:
                found = state.lease(name, max(0, most - len(out)))
            except CloudError as error:
                context.abort(error.grpc_code, error.message)
            out |= {each.ack_id for each in found}
            if not found:
                state.changed.wait(min(state.next_due_seconds(name), 60.0) if len(out) < most else 60.0)
                continue
        received = [_received(state, each) for each in found]
        yield types.StreamingPullResponse.pb()(received_messages=received)


def _read_acks(state: State, requests: Iterator[Any], out: set[str]) -> None:
    try:
        for request in requests:
            state.acknowledge(request.ack_ids)
            for ack_id, seconds in zip(request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False):
                state.extend([ack_id], seconds)
                if not seconds:
                    out.discard(ack_id)
            out.difference_update(request.ack_ids)
            _wake(state)
    except grpc.RpcError:
        return  # the client has left


def _wake(state: State) -> None:
    with state.changed:
        state.changed.notify_all()
