"""Buckets and their notification configurations on the wire."""

from local.storage.errors import required, unimplemented
from local.storage.names import NotificationId
from local.storage.parameters import page_limit, preconditions
from local.storage.resources import bucket_resource, page_resource
from local.storage.service import Service
from local.storage.wire import Request, Response, json_response, no_content


async def answer_buckets(service: Service, request: Request) -> Response:
    match request.method:
        case "GET":
            return _list(service, request)
        case "POST":
            created = service.buckets.create(_project(request), await request.resource())
            return json_response(request, bucket_resource(created, request.base_url))
        case _:
            raise unimplemented(f"{request.method} on buckets")


def _project(request: Request) -> str:
    project = request.query.get("project")
    if not project:
        raise required("project")
    return project


def _list(service: Service, request: Request) -> Response:
    prefix, start = request.query.get("prefix", ""), request.query.get("pageToken", "")
    buckets, following = service.buckets.of_project(_project(request), prefix, start, page_limit(request))
    items = [bucket_resource(bucket, request.base_url) for bucket in buckets]
    return json_response(request, page_resource("storage#buckets", items, {"nextPageToken": following}))


async def answer_bucket(service: Service, request: Request, name: str) -> Response:
    match request.method:
        case "GET":
            bucket = service.buckets.get(name)
            preconditions(request).check_read(bucket.version)
        case "PATCH":
            bucket = service.buckets.patch(name, await request.resource(), preconditions(request))
        case "PUT":
            bucket = service.buckets.replace(name, await request.resource(), preconditions(request))
        case "DELETE":
            service.buckets.delete(name, preconditions(request))
            return no_content()
        case _:
            raise unimplemented(f"{request.method} on a bucket")
    return json_response(request, bucket_resource(bucket, request.base_url))


async def answer_notifications(service: Service, request: Request, bucket: str) -> Response:
    match request.method:
        case "GET":
            items = service.notifications.of_bucket(bucket)
            return json_response(request, page_resource("storage#notifications", items, {}))
        case "POST":
            return json_response(request, service.notifications.create(bucket, await request.resource()))
        case _:
            raise unimplemented(f"{request.method} on notification configurations")


async def answer_notification(service: Service, request: Request, bucket: str, number: str) -> Response:
    notification_id = NotificationId(number)
    match request.method:
        case "GET":
            return json_response(request, service.notifications.get(bucket, notification_id))
        case "DELETE":
            service.notifications.delete(bucket, notification_id)
            return no_content()
        case _:
            raise unimplemented(f"{request.method} on a notification configuration")
