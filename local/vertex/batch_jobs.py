"""What a batch prediction job may be, what its container is asked and how its state goes on; the clock aside, pure.

Input is JSON Lines; an answer is a line `{"instance": …, "prediction": …}`, with `key` in place of `instance` where the
job names a key field. What could not be predicted is counted by message in the errors file, as people find it there.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local import fields
from local.documents import timestamp
from local.errors import CloudError, Status
from local.fields import Document

LIVE = frozenset({"JOB_STATE_PENDING", "JOB_STATE_RUNNING", "JOB_STATE_CANCELLING"})
FILTER_FIELDS = frozenset({"state", "displayName", "modelDisplayName", "createTime", "updateTime"})
_KEPT = (
    "displayName", "model", "inputConfig", "outputConfig", "instanceConfig", "modelParameters", "dedicatedResources",
    "manualBatchTuningParameters", "labels", "serviceAccount",
)  # fmt: skip
_DEFAULT_BATCH_ROWS = 64
_CODE_CANCELLED, _CODE_INTERNAL = 1, 13


@dataclass(frozen=True)
class Plan:
    """What a job asks for."""

    model: str
    inputs: tuple[str, ...]
    output: str
    key_field: str
    left_out: frozenset[str]
    parameters: Any
    batch_rows: int


@dataclass(frozen=True)
class Line:
    """One line of input: what the model is asked, and what the answer is known by."""

    instance: Any
    known_by: tuple[str, Any]


@dataclass
class Tally:
    """What became of the instances."""

    successful: int = 0
    failed: dict[str, int] = field(default_factory=dict)

    def fail(self, message: str, instances: int) -> None:
        self.failed[message] = self.failed.get(message, 0) + instances

    def errors(self) -> bytes:
        """The errors file: a message and its number of instances on each line."""
        return "".join(f"{(message, count)!r}\n" for message, count in self.failed.items()).encode()


def plan_of(job: Document) -> Plan:
    """Reads a job: INVALID_ARGUMENT for what Google refuses, UNIMPLEMENTED for what is not here."""
    given, wanted = fields.part(job, "inputConfig"), fields.part(job, "outputConfig")
    formats = fields.required_text(given, "instancesFormat"), fields.required_text(wanted, "predictionsFormat")
    instance, tuning = fields.part(job, "instanceConfig"), fields.part(job, "manualBatchTuningParameters")
    shape = fields.text(instance, "instanceType") or "object"
    if formats != ("jsonl", "jsonl") or shape != "object" or "unmanagedContainerModel" in job:
        told = "The local Vertex AI predicts JSON Lines of objects, into JSON Lines, with a model of the registry."
        raise CloudError(Status.UNIMPLEMENTED, told)
    inputs = tuple(fields.texts(fields.part(given, "gcsSource"), "uris"))
    output = fields.required_text(fields.part(wanted, "gcsDestination"), "outputUriPrefix")
    if not inputs or not all(uri.startswith("gs://") for uri in (*inputs, output)):
        raise CloudError(Status.INVALID_ARGUMENT, "Input and output are addresses of Cloud Storage.")
    key = fields.text(instance, "keyField")
    return Plan(
        fields.required_text(job, "model"),
        inputs,
        output.rstrip("/"),
        key,
        frozenset([*fields.texts(instance, "excludedFields"), *([key] if key else [])]),
        job.get("modelParameters"),
        int(tuning.get("batchSize") or _DEFAULT_BATCH_ROWS),
    )


def lines_of(content: bytes, plan: Plan, tally: Tally) -> Iterator[Line]:
    """The instances of a file; a line that is none is counted as failed."""
    for text in content.splitlines():
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except ValueError:
            tally.fail("Cannot parse an instance as JSON.", 1)
            continue
        if plan.key_field and not (isinstance(value, dict) and plan.key_field in value):
            tally.fail(f"An instance has no key field {plan.key_field}.", 1)
        elif isinstance(value, dict):
            asked = {name: cell for name, cell in value.items() if name not in plan.left_out}
            yield Line(asked, ("key", value[plan.key_field]) if plan.key_field else ("instance", value))
        else:
            yield Line(value, ("instance", value))


def request_of(lines: list[Line], plan: Plan) -> bytes:
    """What the container is asked."""
    body: Document = {"instances": [line.instance for line in lines]}
    return json.dumps(body if plan.parameters is None else {**body, "parameters": plan.parameters}).encode()


def results_of(lines: list[Line], answer: bytes) -> bytes | None:
    """The results file's lines for an answer; None if it is not one prediction per instance."""
    try:
        predictions = json.loads(answer)["predictions"]
    except (ValueError, KeyError, TypeError):
        return None
    if not isinstance(predictions, list) or len(predictions) != len(lines):
        return None
    told = (
        {name: value, "prediction": prediction}
        for (name, value), prediction in zip((line.known_by for line in lines), predictions, strict=True)
    )
    return "".join(json.dumps(each) + "\n" for each in told).encode()


def pending(wanted: Document, name: str, model: Document) -> Document:
    """A new job by a version of a model."""
    fields.required_text(wanted, "displayName")
    fields.labels(wanted)
    now = timestamp()
    given = {key: wanted[key] for key in _KEPT if key in wanted}
    version = {"modelVersionId": model["versionId"], "_modelName": model.get("displayName", "model")}
    return {**given, **version, "name": name, "state": "JOB_STATE_PENDING", "createTime": now, "updateTime": now}


def running(job: Document) -> Document:
    """The job once its container is started; one that was interrupted by a kill runs on."""
    now = timestamp()
    state = "JOB_STATE_CANCELLING" if job["state"] == "JOB_STATE_CANCELLING" else "JOB_STATE_RUNNING"
    return {**job, "state": state, "startTime": job.get("startTime", now), "updateTime": now}


def cancelling(job: Document) -> Document:
    return {**job, "state": "JOB_STATE_CANCELLING", "updateTime": timestamp()}


def folder_of(job: Document, plan: Plan) -> str:
    """Where the job's results go, a new folder below its output: the same however often the job is begun."""
    created = datetime.fromisoformat(job["createTime"]).strftime("%Y_%m_%dT%H_%M_%S_%f")[:-3] + "Z"
    return f"{plan.output}/prediction-{job['_modelName']}-{created}"


def finished(job: Document, folder: str, tally: Tally) -> Document:
    """The job once every instance was tried: failed only if there is no prediction at all."""
    failed = sum(tally.failed.values())
    told = {
        "outputInfo": {"gcsOutputDirectory": folder},
        "completionStats": {"successfulCount": str(tally.successful), "failedCount": str(failed)},
    }
    if failed and not tally.successful:
        error = {"code": _CODE_INTERNAL, "message": f"All {failed} instances failed; see the errors in {folder}."}
        return _ended({**job, **told}, "JOB_STATE_FAILED", error)
    return _ended({**job, **told}, "JOB_STATE_PARTIALLY_SUCCEEDED" if failed else "JOB_STATE_SUCCEEDED")


def cancelled(job: Document) -> Document:
    return _ended(job, "JOB_STATE_CANCELLED", {"code": _CODE_CANCELLED, "message": "CANCELED"})


def failed(job: Document, why: str) -> Document:
    return _ended(job, "JOB_STATE_FAILED", {"code": _CODE_INTERNAL, "message": why})


def _ended(job: Document, state: str, error: Document | None = None) -> Document:
    now = timestamp()
    ended = {**job, "state": state, "endTime": now, "updateTime": now}
    return {**ended, "error": error} if error else ended
