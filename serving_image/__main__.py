"""The container's entry point: reads the environment that Vertex AI sets, loads the model, serves.

AIP_STORAGE_URI names the artefacts, AIP_HTTP_PORT, AIP_HEALTH_ROUTE and AIP_PREDICT_ROUTE the door, AIP_ENDPOINT_ID and
AIP_DEPLOYED_MODEL_ID who we are; SERIN_MODEL, SERIN_RUN, SERIN_REPORT_SECONDS and SERIN_RECEIPT_KEY_URI come with the
model.
"""

import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

import uvicorn

from serving_image.account import Account
from serving_image.app import App, Routes
from serving_image.model import Model, Signature
from serving_image.reporter import Identity, Reporter, interval_of
from shared.door import open_door
from shared.environment import GoogleCloud, read_environment
from shared.ids import ModelName, RunId

_GRACE_SECONDS = 5


def main(variables: Mapping[str, str]) -> None:
    """Serves until it is told to stop; the last interval is reported before it ends."""
    identity = _identity(variables)
    artefacts = _fetch(variables["AIP_STORAGE_URI"], ("model.onnx", "signature.json"), variables)
    model = Model(artefacts["model.onnx"], Signature.parse(artefacts["signature.json"]))
    folder, _, key_id = variables["SERIN_RECEIPT_KEY_URI"].rpartition("/")
    key = bytes.fromhex(_fetch(folder, (key_id,), variables)[key_id].decode())
    account = Account(interval_of(time.time(), identity.report_seconds))
    routes = Routes(variables.get("AIP_HEALTH_ROUTE", "/health"), variables.get("AIP_PREDICT_ROUTE", "/predict"))
    reporter = Reporter(identity, account, GoogleCloud(read_environment(_complete(variables))))
    reporter.start()
    host = "127.0.0.1" if variables.get("STORAGE_EMULATOR_HOST") else "0.0.0.0"
    config = uvicorn.Config(
        App(model, identity, account, routes, key_id, key),
        host=host,
        port=int(variables.get("AIP_HTTP_PORT") or variables.get("PORT") or "8080"),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    uvicorn.Server(config).run()
    reporter.stop()


def _identity(variables: Mapping[str, str]) -> Identity:
    return Identity(
        model=ModelName(variables["SERIN_MODEL"]),
        run=RunId(variables["SERIN_RUN"]),
        endpoint=variables.get("AIP_ENDPOINT_ID", "none"),
        deployed_model=variables.get("AIP_DEPLOYED_MODEL_ID", "0"),
        reporter=secrets.token_hex(4),
        report_seconds=float(variables.get("SERIN_REPORT_SECONDS") or 60),
    )


def _complete(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment as `shared` reads it; a serving container touches no bucket of the installation by name."""
    unused = dict.fromkeys(("SERIN_DATA_BUCKET", "SERIN_STATE_BUCKET", "SERIN_ARTEFACTS_BUCKET"), "not-used-here")
    return {**unused, **variables}


def _fetch(folder: str, names: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, bytes]:
    """Files below a gs:// address."""
    from google.cloud import storage

    client: Any = storage.Client(project=variables.get("GOOGLE_CLOUD_PROJECT"))
    bucket, _, prefix = folder.removeprefix("gs://").partition("/")

    def fetched(name: str) -> bytes:
        blob = client.bucket(bucket).blob(f"{prefix.rstrip('/')}/{name}")
        return bytes(open_door("storage.read", blob.download_as_bytes))

    return {name: fetched(name) for name in names}


if __name__ == "__main__":
    main(os.environ)
