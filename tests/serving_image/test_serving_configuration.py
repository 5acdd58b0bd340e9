"""The same image is told what it is by Vertex AI, by Cloud Run or by a person, or says everything that is missing."""

import pytest

from serving_image.configuration import Limits, Routes, read_configuration
from shared.errors import BadInput

DEPLOYED = {
    "SERIN_MODEL": "toys", "SERIN_RUN": "toys-000001", "SERIN_RECEIPT_KEY_URI": "gs://state/keys/1",
    "GOOGLE_CLOUD_PROJECT": "p",
}  # fmt: skip
VERTEX = {
    "AIP_STORAGE_URI": "gs://a/b", "AIP_HTTP_PORT": "8081", "AIP_HEALTH_ROUTE": "/live", "AIP_PREDICT_ROUTE": "/answer",
    "AIP_ENDPOINT_ID": "77", "AIP_DEPLOYED_MODEL_ID": "3",
}  # fmt: skip
CLOUD_RUN = {
    "ARTIFACTS_DIR": "gs://a/b", "PORT": "8082", "MODEL_VERSION": "v3", "K_SERVICE": "scorer", "K_REVISION": "scorer-7",
}  # fmt: skip


def test_on_vertex_ai_it_is_the_deployed_model_of_its_endpoint() -> None:
    told = read_configuration({**VERTEX, **DEPLOYED})
    assert (told.artefacts, told.host, told.port, told.routes) == (
        "gs://a/b", "0.0.0.0", 8081, Routes("/live", "/answer"),
    )  # fmt: skip
    assert told.identity is not None
    assert (told.identity.endpoint, told.identity.deployed_model, told.model_version) == ("77", "3", "toys-000001")
    assert told.identity.report_seconds == 60.0


def test_on_cloud_run_it_is_the_revision_of_its_service_and_reports_only_when_told_to() -> None:
    told = read_configuration(CLOUD_RUN)
    assert (told.artefacts, told.host, told.port, told.model_version) == ("gs://a/b", "0.0.0.0", 8082, "v3")
    assert (told.identity, told.receipt_key) == (None, None)
    reporting = read_configuration({**CLOUD_RUN, **DEPLOYED}).identity
    assert reporting is not None
    assert (reporting.endpoint, reporting.deployed_model) == ("scorer", "scorer-7")


def test_on_a_machine_of_ones_own_only_that_machine_may_ask() -> None:
    here = read_configuration({"ARTIFACTS_DIR": "models/toys"})
    assert (here.host, here.port, here.routes, here.limits) == (
        "127.0.0.1", 8080, Routes("/health", "/predict"), Limits(),
    )  # fmt: skip
    local = read_configuration({**VERTEX, **DEPLOYED, "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9199"})
    assert local.host == "127.0.0.1"


def test_two_lives_of_one_container_are_two_reporters() -> None:
    lives = [read_configuration({**VERTEX, **DEPLOYED}).identity for _ in range(2)]
    assert len({life.reporter for life in lives if life}) == 2


def test_what_a_batch_prediction_job_answers_is_nobodys_evidence() -> None:
    nowhere = {name: value for name, value in DEPLOYED.items() if not name.startswith("AIP_")}
    storage = {"AIP_STORAGE_URI": "gs://artefacts/1", "AIP_HTTP_PORT": "8080"}
    assert read_configuration({**nowhere, **storage}).identity is None


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {"SERIN_MODEL": "toys", "PORT": "http", "SERIN_MAX_ROWS": "0", "SERIN_TIMEOUT_SECONDS": "nan"}
    wrong["K_SERVICE"] = "toys"
    with pytest.raises(BadInput) as refused:
        read_configuration(wrong)
    assert sorted(refused.value.reasons) == [
        "AIP_DEPLOYED_MODEL_ID or K_REVISION is not set",
        "AIP_STORAGE_URI or ARTIFACTS_DIR is not set",
        "GOOGLE_CLOUD_PROJECT is not set, though SERIN_MODEL is",
        "PORT is not a number above 0",
        "SERIN_MAX_ROWS is not a number above 0",
        "SERIN_RECEIPT_KEY_URI is not set, though SERIN_MODEL is",
        "SERIN_RUN is not set, though SERIN_MODEL is",
        "SERIN_TIMEOUT_SECONDS is not a number above 0",
    ]
