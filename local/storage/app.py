"""The ASGI application: from the path to the operation, from every failure to Google's form of it."""

import logging
from http import HTTPStatus

from local.errors import CloudError
from local.loopback import is_loopback
from local.storage.buckets_wire import answer_bucket, answer_buckets, answer_notification, answer_notifications
from local.storage.delivery import Delivery
from local.storage.errors import ClientGone, NotModified, host_not_loopback, internal, unimplemented
from local.storage.objects_wire import answer_copy_to, answer_object, answer_objects, answer_rewrite_to, download
from local.storage.resources import service_account_resource
from local.storage.service import Service
from local.storage.uploads_wire import answer_upload
from local.storage.wire import Receive, Request, Response, Scope, Send, json_response, refusal

_log = logging.getLogger(__name__)


async def route(service: Service, request: Request) -> Response:
    """The answer to one request; CloudError 501 for what is not implemented."""
    match request.segments:
        case ["upload", "storage", "v1", "b", bucket, "o"]:
            return await answer_upload(service, request, bucket)
        case ["download", "storage", "v1", "b", bucket, "o", name] if request.method == "GET":
            return download(service, request, bucket, name)
        case ["storage", "v1", "b", bucket, "o", name]:
            return await answer_object(service, request, bucket, name)
        case ["storage", "v1", "b", bucket, "o"]:
            return await answer_objects(service, request, bucket)
        case ["storage", "v1", "b", bucket]:
            return await answer_bucket(service, request, bucket)
        case ["storage", "v1", "b"]:
            return await answer_buckets(service, request)
        case ["storage", "v1", "b", bucket, "o", name, "copyTo", "b", to_bucket, "o", to_name]:
            return await answer_copy_to(service, request, (bucket, name), (to_bucket, to_name))
        case ["storage", "v1", "b", bucket, "o", name, "rewriteTo", "b", to_bucket, "o", to_name]:
            return await answer_rewrite_to(service, request, (bucket, name), (to_bucket, to_name))
        case ["storage", "v1", "b", bucket, "notificationConfigs"]:
            return await answer_notifications(service, request, bucket)
        case ["storage", "v1", "b", bucket, "notificationConfigs", number]:
            return await answer_notification(service, request, bucket, number)
        case ["storage", "v1", "projects", project, "serviceAccount"] if request.method == "GET":
            return json_response(request, service_account_resource(project))
        case _:
            raise unimplemented(f"{request.method} on this path")


class App:
    """Serves one Service; `delivery` is None where there is no Pub/Sub to tell."""

    def __init__(self, service: Service, delivery: Delivery | None) -> None:
        self._service = service
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            response = await self._answer(scope, receive)
        except ClientGone:
            return
        await response.send(send, without_body=scope["method"] == "HEAD")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._delivery is not None:
            self._delivery.wake(self._service.outbox.topics())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._delivery is not None:
            await self._delivery.stop()
        self._service.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        try:
            request = Request(scope, receive)
            if not is_loopback(request.headers.get("host", "")):
                raise host_not_loopback()
            return await route(self._service, request)
        except NotModified:
            return Response(HTTPStatus.NOT_MODIFIED, [])
        except CloudError as error:
            return refusal(error)
        except ClientGone:
            raise
        except Exception:
            _log.exception("%s on storage failed", scope["method"])
            return refusal(internal())
