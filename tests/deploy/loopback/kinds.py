"""How each of Google's collections names and completes what is made in it: all that differs between the APIs."""

import hashlib

from tests.deploy.loopback.state import NUMBER, PROJECT, Document, Kind


def _account(_name: str, body: Document) -> Document:
    email = f"{body['accountId']}@{PROJECT}.iam.gserviceaccount.com"
    unique = str(int(hashlib.sha256(email.encode()).hexdigest()[:12], 16))
    return {
        "name": f"projects/{PROJECT}/serviceAccounts/{email}",
        "email": email,
        "uniqueId": unique,
        "displayName": body.get("serviceAccount", {}).get("displayName", ""),
    }


def _function(name: str, body: Document) -> Document:
    short = name.rpartition("/")[2]
    config = {**body.get("serviceConfig", {}), "uri": uri(short), "service": name.replace("/functions/", "/services/")}
    return {"serviceConfig": config, "state": "ACTIVE", "environment": "GEN_2"}


def uri(function: str) -> str:
    """Where a deployed function answers."""
    return f"https://{function}-x7y-ew.a.run.app"


def _repository(_name: str, _body: Document) -> Document:
    return {"format": "DOCKER", "createTime": "2026-11-01T00:00:00Z", "updateTime": "2026-11-01T00:00:00Z"}


def _secret_version(_name: str, _body: Document) -> Document:
    return {"state": "ENABLED"}


def _build(name: str, _body: Document) -> Document:
    number, log = name.rpartition("/")[2], "https://console.cloud.google.com/cloud-build"
    return {"id": number, "projectId": PROJECT, "status": "SUCCESS", "logUrl": log}


def digest_of(image: str) -> str:
    """The digest that a built image has here."""
    return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"


KINDS = {
    "topics": Kind(),
    "subscriptions": Kind(added=lambda _name, _body: {"state": "ACTIVE"}),
    "serviceAccounts": Kind("accountId", listed="accounts", added=_account),
    "roles": Kind("roleId", inner="role"),
    "functions": Kind("functionId", operation=True, added=_function),
    "services": Kind("serviceId"),
    "repositories": Kind("repositoryId", operation=True, added=_repository),
    "jobs": Kind("name", added=lambda _name, _body: {"state": "ENABLED"}),
    "metrics": Kind("name"),
    "alertPolicies": Kind(),
    "dashboards": Kind("name", added=lambda _name, _body: {"etag": "0"}),
    "secrets": Kind("secretId"),
    "endpoints": Kind(operation=True),
    "models": Kind(operation=True),
    "customJobs": Kind(),
    "builds": Kind("id", added=_build),
    "versions": Kind(added=_secret_version),
    "tags": Kind("tagId"),
    "packages": Kind(),
    "dockerImages": Kind(),
    "b": Kind("name", listed="items"),
    "notificationConfigs": Kind(listed="items"),
}
PROJECT_DOCUMENT = {"projectId": PROJECT, "projectNumber": NUMBER, "lifecycleState": "ACTIVE", "name": "Serin"}
