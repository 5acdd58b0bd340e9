"""Which endpoints a model version is deployed to: both the registry and the endpoints ask."""

from local.documents import Documents
from local.fields import Document


def deployments_of(documents: Documents, model: str, version: str) -> list[Document]:
    """Google's references from a version to where it is deployed."""
    return [
        {"endpoint": endpoint["name"], "deployedModelId": deployed["id"]}
        for endpoint in documents.all_of("Endpoint")
        for deployed in endpoint["deployedModels"]
        if (deployed["model"], deployed["modelVersionId"]) == (model, version)
    ]
