"""Buckets and objects in the JSON API's form: `/b` instead of full names, policies at `/iam`, objects that are held."""

import base64
import hashlib
import json
from email.parser import BytesParser
from email.policy import default
from urllib.parse import unquote

from tests.deploy.loopback.kinds import KINDS
from tests.deploy.loopback.state import NUMBER, PROJECT, Document, Query, Refused, State


class Storage:
    """The part of the state whose names begin with `b/`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, method: str, path: str, query: Query, body: bytes) -> Document:
        """One request below /storage/v1."""
        document = json.loads(body) if body and method != "UPLOAD" else {}
        match path.split("/"):
            case ["projects", _, "serviceAccount"]:
                return {"email_address": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"}
            case ["b"]:
                return self._buckets(method, document, query)
            case ["b", name]:
                return self._bucket(method, f"b/{name}", document)
            case ["b", _, "managedFolders"]:
                return {"items": []}
            case ["b", name, "storageLayout"]:
                return {"bucket": name, "hierarchicalNamespace": {"enabled": False}, **self._state.found(f"b/{name}")}
            case ["b", name, "iam"]:
                return self._policy(method, f"b/{name}", document)
            case ["b", name, "notificationConfigs", *rest]:
                return self._notifications(method, f"b/{name}/notificationConfigs", rest, document)
            case ["b", name, "o"]:
                self._state.found(f"b/{name}")
                return self._uploaded(name, query, body) if method == "UPLOAD" else self._objects(name)
            case ["b", name, "o", key]:
                return self._object(method, name, unquote(key))
            case _:
                raise Refused(404, "NOT_FOUND", f"{method} {path} is not part of this Cloud Storage.")

    def _buckets(self, method: str, document: Document, query: Query) -> Document:
        if method == "GET":
            found = [each for each in self._state.below("b") if each["name"].startswith(query.get("prefix", ""))]
            return {"kind": "storage#buckets", "items": found}
        name = document["name"]
        made = self._state.put(f"b/{name}", KINDS["b"], document)
        made.update(
            {"name": name, "id": name, "projectNumber": NUMBER, "metageneration": "1", "locationType": "region"}
        )
        return made

    def _bucket(self, method: str, name: str, document: Document) -> Document:
        if method == "DELETE" and self._objects(name.removeprefix("b/"))["items"]:
            raise Refused(409, "FAILED_PRECONDITION", "The bucket you tried to delete is not empty.")
        if method == "DELETE":
            return self._state.deleted(name)
        found = self._state.found(name)
        if method == "PATCH":
            for key, value in document.items():
                if value is None or (key == "retentionPolicy" and value.get("retentionPeriod") in (None, "0", 0)):
                    found.pop(key, None)
                else:
                    found[key] = value
        return found

    def _policy(self, method: str, name: str, document: Document) -> Document:
        self._state.found(name)
        return self._state.set_policy(name, document) if method == "PUT" else self._state.policy(name)

    def _notifications(self, method: str, collection: str, rest: list[str], document: Document) -> Document:
        self._state.found(collection.rpartition("/")[0])
        if method == "GET" and not rest:
            return {"kind": "storage#notifications", "items": self._state.below(collection)}
        if method == "POST":
            topic = f"//pubsub.googleapis.com/{document['topic'].removeprefix('//pubsub.googleapis.com/')}"
            made = self._state.made(collection, KINDS["notificationConfigs"], {}, {**document, "topic": topic})
            number = made["name"].rpartition("/")[2]
            made.update({"id": number, "selfLink": f"http://127.0.0.1/storage/v1/{collection}/{number}"})
            return made
        name = f"{collection}/{rest[0]}"
        return self._state.deleted(name) if method == "DELETE" else self._state.found(name)

    def _objects(self, bucket: str) -> Document:
        found = [each for name, each in self._state.resources.items() if name.startswith(f"b/{bucket}/o/")]
        return {"kind": "storage#objects", "items": found}

    def _object(self, method: str, bucket: str, key: str) -> Document:
        name = f"b/{bucket}/o/{key}"
        if method == "DELETE" and "retentionPolicy" in self._state.found(f"b/{bucket}"):
            raise Refused(403, "PERMISSION_DENIED", "Object is subject to bucket's retention policy.")
        return self._state.deleted(name) if method == "DELETE" else self._state.found(name)

    def _uploaded(self, bucket: str, query: Query, body: bytes) -> Document:
        metadata, content = _parts(body)
        key = metadata.get("name") or query["name"]
        digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        self._state.resources[f"b/{bucket}/o/{key}"] = {
            "name": key, "bucket": bucket, "generation": "1", "metageneration": "1", "size": str(len(content)),
            "md5Hash": digest, "id": f"{bucket}/{key}/1", "project": PROJECT,
        }  # fmt: skip
        return self._state.resources[f"b/{bucket}/o/{key}"]


def _parts(body: bytes) -> tuple[Document, bytes]:
    """Metadata and content of a multipart upload; a plain one has no metadata."""
    boundary = body.split(b"\n", 1)[0].rstrip() if body.startswith(b"--") else b""
    if not boundary:
        return {}, body
    message = BytesParser(policy=default).parsebytes(
        b'Content-Type: multipart/related; boundary="' + boundary[2:] + b'"\r\n\r\n' + body
    )
    first, second = (part.get_payload(decode=True) for part in message.iter_parts())
    if not isinstance(first, bytes) or not isinstance(second, bytes):
        raise Refused(400, "INVALID_ARGUMENT", "Not a multipart upload.")
    return json.loads(first), second
