"""The gRPC wire: requests read here, so that wrong bytes are refused as Google refuses them and not as a failure."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.pubsub_v1 import types

from local.errors import CloudError, Status, unimplemented
from local.pubsub.broker import Broker
from local.pubsub.limits import invalid
from local.pubsub.service import METHODS, call
from local.pubsub.streaming import Stream

_PACKAGE = "/google.pubsub.v1."
_STREAM = f"{_PACKAGE}Subscriber/StreamingPull"


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every method there is: those of METHODS, streaming pull, and for any other a plain no by its name."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._streams: set[Stream] = set()
        self._closing = False

    def service(self, details: Any) -> grpc.RpcMethodHandler:
        name = str(details.method)
        if name == _STREAM:
            return grpc.stream_stream_rpc_method_handler(self._streaming_pull, response_serializer=_bytes)
        if name.startswith(_PACKAGE) and name.removeprefix(_PACKAGE) in METHODS:
            return self._unary(name.removeprefix(_PACKAGE))
        return _unoffered(name)

    def end_streams(self) -> None:
        """Ends what is open in a way that makes the clients come back."""
        self._closing = True
        for stream in self._streams:
            stream.end()

    def _unary(self, name: str) -> grpc.RpcMethodHandler:
        async def answered(request: bytes, context: Any) -> Any:
            try:
                return await call(self._broker, name, _read(METHODS[name].request, request))
            except CloudError as error:
                await context.abort(error.grpc_code, error.message)

        return grpc.unary_unary_rpc_method_handler(answered, response_serializer=_bytes)

    async def _streaming_pull(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        stream: Stream | None = None
        read = (_read(types.StreamingPullRequest, request) async for request in requests)
        try:
            first = await anext(read, None)
            if first is None or self._closing:
                raise CloudError(Status.UNAVAILABLE, "The service is going down.")
            stream = Stream(self._broker, first)
            self._streams.add(stream)
            async for response in stream.responses(first, read):
                yield response
        except CloudError as error:
            await context.abort(error.grpc_code, error.message)
        finally:
            if stream is not None:
                self._streams.discard(stream)


def _unoffered(name: str) -> grpc.RpcMethodHandler:
    async def refused(_requests: Any, context: Any) -> NoReturn:
        error = unimplemented(name)
        await context.abort(error.grpc_code, error.message)
        raise AssertionError("abort returns never")

    return grpc.stream_unary_rpc_method_handler(refused)


def _read(request_type: Any, request: bytes) -> Any:
    try:
        return request_type.pb().FromString(request)
    except DecodeError as error:
        raise invalid("Request contains an invalid argument.") from error


def _bytes(message: Any) -> bytes:
    return message.SerializeToString()  # type: ignore[no-any-return]
