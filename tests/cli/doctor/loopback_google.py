"""Google's APIs on this machine, as far as a deployment uses them: gcloud's commands in, documented resources out.

It carries out the commands of a plan as gcloud would, and answers over HTTP with the resources that Google's REST
references show. So a command that the doctor names can be tried: it must make what was found missing.
"""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

NUMBER = "123456789012"
_FOLDERS = {  # what a policy is on, in gcloud's words: the path of the thing
    "pubsub topics": "v1/projects/{p}/topics/{n}",
    "pubsub subscriptions": "v1/projects/{p}/subscriptions/{n}",
    "storage buckets": "storage/v1/b/{n}",
    "iam service-accounts": "v1/projects/{p}/serviceAccounts/{n}",
    "run services": "v2/projects/{p}/locations/{r}/services/{n}",
    "artifacts repositories": "v1/projects/{p}/locations/{r}/repositories/{n}",
    "kms keys": "v1/{n}",
    "secrets": "v1/projects/{p}/secrets/{n}",
    "projects": "v1/projects/{n}",
}


@dataclass
class LoopbackGoogle:
    """One project: `things` by path, `policies` by the path of what they are on."""

    project: str
    region: str
    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)
    notifications: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    listed: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"alertPolicies": [], "dashboards": [], "quotaInfos": []}
    )
    disabled: set[str] = field(default_factory=set)  # APIs that the plan does not enable
    refused: set[str] = field(default_factory=set)  # beginnings of paths that the caller may not see

    def __post_init__(self) -> None:
        self.things[f"v1/projects/{self.project}"] = {"projectId": self.project, "projectNumber": NUMBER}

    def gcloud(self, command: Sequence[str]) -> None:
        """Carries out one command; KeyError for one that it does not know."""
        said = [each for each in command if not each.startswith("--") and each not in ("alpha", "beta")]
        flags = dict(each[2:].partition("=")[::2] for each in command if each.startswith("--"))
        if said[-2] == "add-iam-policy-binding" or said[-3:-1] == ["add-iam-policy-binding"]:
            self._bind(" ".join(said[:-2]), said[-1].removeprefix("gs://"), flags)
            return
        match said:
            case ["services", "enable", *names]:
                self.enabled |= set(names)
                self.disabled -= set(names)
            case ["services", "identity", "create"]:
                name = flags["service"].split(".")[0]
                agent = f"serviceAccount:service-{NUMBER}@gcp-sa-{name}.iam.gserviceaccount.com"
                self._grant(f"v1/projects/{self.project}", f"roles/{name}.serviceAgent", agent)
            case ["storage", "service-agent"]:
                pass
            case ["iam", "service-accounts", "create", name]:
                email = f"{name}@{self.project}.iam.gserviceaccount.com"
                self._put(f"v1/projects/{self.project}/serviceAccounts/{email}", {"email": email})
            case ["iam", "roles", ("create" | "update"), name]:
                held = {"includedPermissions": flags["permissions"].split(","), "stage": flags["stage"]}
                path = f"v1/projects/{self.project}/roles/{name}"
                self._put(path, {**self.things.get(path, {}), **held})
            case ["iam", "roles", "undelete", name]:
                del self.things[f"v1/projects/{self.project}/roles/{name}"]["deleted"]
            case ["projects", "remove-iam-policy-binding", name]:
                self.policies[f"v1/projects/{name}"].remove({"role": flags["role"], "members": [flags["member"]]})
            case ["storage", "buckets", ("create" | "update") as verb, url]:
                self._bucket(verb, url.removeprefix("gs://"), flags)
            case ["storage", "buckets", "notifications", "create", url]:
                topic = f"//pubsub.googleapis.com/projects/{self.project}/topics/{flags['topic']}"
                self.notifications.setdefault(url.removeprefix("gs://"), []).append({"id": "1", "topic": topic})
            case ["pubsub", "topics", "create", name]:
                self._put(f"v1/projects/{self.project}/topics/{name}", {})
            case ["pubsub", "subscriptions", ("create" | "update"), name]:
                self._subscription(name, flags)
            case ["pubsub", "subscriptions", "delete", name]:
                del self.things[f"v1/projects/{self.project}/subscriptions/{name}"]
            case ["artifacts", "repositories", "create", name]:
                self._put(f"v1/{self._here}/repositories/{name}", {"format": "DOCKER"})
            case ["functions", "deploy", name]:
                self._function(name, flags)
            case ["logging", "metrics", "create", name]:
                self.things[f"v2/projects/{self.project}/metrics/{name}"] = _file(flags["config-from-file"])
            case ["monitoring", "policies", "create"]:
                self.listed["alertPolicies"].append(_file(flags["policy-from-file"]))
            case ["monitoring", "dashboards", "create"]:
                self.listed["dashboards"].append(_file(flags["config-from-file"]))
            case ["scheduler", "jobs", ("create" | "update"), "pubsub", name]:
                target = {"topicName": f"projects/{self.project}/topics/{flags['topic']}"}
                job = {"schedule": flags["schedule"], "timeZone": flags["time-zone"], "pubsubTarget": target}
                self._put(f"v1/{self._here}/jobs/{name}", job)
            case _:
                raise KeyError(" ".join(command))

    @property
    def _here(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def _put(self, path: str, thing: dict[str, Any]) -> None:
        self.things[path] = {"name": path.split("/", 1)[1], **thing}

    def _bind(self, group: str, name: str, flags: dict[str, str]) -> None:
        path = _FOLDERS[group].format(p=self.project, r=self.region, n=name)
        self._grant(path, flags["role"], flags["member"])

    def _grant(self, path: str, role: str, member: str) -> None:
        self.policies.setdefault(path, []).append({"role": role, "members": [member]})

    def _bucket(self, verb: str, name: str, flags: dict[str, str]) -> None:
        path = f"storage/v1/b/{name}"
        if verb == "create":
            self.things[path] = {"kind": "storage#bucket", "name": name, "location": flags["location"].upper()}
        bucket = self.things[path]
        if "versioning" in flags:
            bucket["versioning"] = {"enabled": True}
        if "uniform-bucket-level-access" in flags:
            bucket.setdefault("iamConfiguration", {})["uniformBucketLevelAccess"] = {"enabled": True}
        if "public-access-prevention" in flags:
            bucket.setdefault("iamConfiguration", {})["publicAccessPrevention"] = "enforced"
        if "soft-delete-duration" in flags:
            bucket["softDeletePolicy"] = {"retentionDurationSeconds": flags["soft-delete-duration"]}
        if "retention-period" in flags:
            bucket["retentionPolicy"] = {"retentionPeriod": flags["retention-period"].rstrip("s"), "isLocked": False}

    def _subscription(self, name: str, flags: dict[str, str]) -> None:
        path = f"v1/projects/{self.project}/subscriptions/{name}"
        found = dict(self.things.get(path, {"filter": "", "state": "ACTIVE"}))
        if "topic" in flags:
            found |= {"topic": f"projects/{self.project}/topics/{flags['topic']}"}
            found |= {"filter": flags.get("message-filter", "")}
        if "push-endpoint" in flags:
            oidc = {
                "serviceAccountEmail": flags["push-auth-service-account"],
                "audience": flags["push-auth-token-audience"],
            }
            found["pushConfig"] = {"pushEndpoint": flags["push-endpoint"], "oidcToken": oidc}
        if "ack-deadline" in flags:
            found["ackDeadlineSeconds"] = int(flags["ack-deadline"])
        if "min-retry-delay" in flags:
            backoff = {"minimumBackoff": flags["min-retry-delay"], "maximumBackoff": flags["max-retry-delay"]}
            found["retryPolicy"] = backoff
        if flags.get("expiration-period") == "never":
            found["expirationPolicy"] = {}
        if "dead-letter-topic" in flags:
            topic = f"projects/{self.project}/topics/{flags['dead-letter-topic']}"
            attempts = int(flags["max-delivery-attempts"])
            found["deadLetterPolicy"] = {"deadLetterTopic": topic, "maxDeliveryAttempts": attempts}
        self._put(path, found)

    def _function(self, name: str, flags: dict[str, str]) -> None:
        variables = dict(each.split("=", 1) for each in flags["set-env-vars"].split(","))
        labels = dict([flags["update-labels"].split("=", 1)])
        service = {"uri": f"https://{name}-x.a.run.app", "environmentVariables": variables}
        self._put(f"v2/{self._here}/functions/{name}", {"labels": labels, "serviceConfig": service, "state": "ACTIVE"})

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a GET or a getIamPolicy."""
        if any(path.startswith(each) for each in self.refused):
            return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "not you"}}
        if path.endswith("/quotaInfos") and "cloudquotas.googleapis.com" in self.disabled:
            return 403, _DISABLED
        if path == f"v1/projects/{self.project}/services":
            return 200, {"services": [{"config": {"name": each}, "state": "ENABLED"} for each in sorted(self.enabled)]}
        if found := re.fullmatch(r"storage/v1/b/([^/]+)/notificationConfigs", path):
            return 200, {"kind": "storage#notifications", "items": self.notifications.get(found[1], [])}
        if path.endswith("/serviceAccount"):
            return 200, {"emailAddress": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"}
        if (name := path.rsplit("/", 1)[-1]) in self.listed:
            return 200, {name: self.listed[name]}
        if found := re.fullmatch(r"(.*)(:getIamPolicy|/iam)", path):
            on = found[1]
            there = on in self.things or on.startswith("v2/") or on.endswith(f"projects/{self.project}")
            return (200, {"version": 1, "bindings": self.policies.get(on, [])}) if there else _ABSENT
        return (200, self.things[path]) if path in self.things else _ABSENT


def _file(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(name).read_text())
    return found


_DISABLED = {
    "error": {
        "code": 403,
        "status": "PERMISSION_DENIED",
        "message": "Cloud Quotas API has not been used in project p-1 before or it is disabled.",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com",
                "metadata": {"consumer": "projects/p-1", "service": "cloudquotas.googleapis.com"},
            }
        ],
    }
}
_ABSENT = (404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "Resource not found"}})


@contextmanager
def serving(google: LoopbackGoogle) -> Iterator[str]:
    """The project's APIs at a URL, for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, found = google.answer(self.path.lstrip("/").partition("?")[0])
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
