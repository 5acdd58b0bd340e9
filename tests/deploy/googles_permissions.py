"""What Google asks for each effect, said once more and not taken from deploy/: by the REST method behind it.

`googles_permissions.txt` holds the names that exist, so that a permission that is misspelt here or there is found.
"""

from pathlib import Path

from shared import wiring

_LINES = Path(__file__).with_suffix(".txt").read_text().splitlines()
EXISTING = frozenset(line for line in _LINES if line and not line.startswith("#"))

# Method by method; `&` where a call needs more than one.
_ASKED = """
    customJobs: create_job=create get_job=get list_jobs=list cancel_job=cancel
    batchPredictionJobs: create_batch_job=create get_batch_job=get list_batch_jobs=list cancel_batch_job=cancel
    models: upload=upload get_version=get list_versions=get&list delete_version=delete make_default=update
    models: create_batch_job=get deploy=get get_operation=get
    endpoints: create_endpoint=create get_endpoint=get deploy=deploy undeploy=undeploy set_split=update
    endpoints: predict=predict get_operation=get
    run.services: create_service=create get_service=get deploy=update set_split=update undeploy=update
    run.services: delete_service=delete
    run.jobs: create_job=create&run get_job=get list_jobs=list delete_job=delete
    run.executions: get_execution=get
    run.operations: get_operation=get
    run.routes: predict=invoke
    logging.logEntries: list=list
"""


def permitted(function: str) -> set[str]:
    """The permissions that the function's own role must hold: those of what the wiring lets it do."""
    done = wiring.VERTEX.get(function, frozenset()) | wiring.CLOUD_RUN.get(function, frozenset())
    return {permission for effect in done for permission in _of(effect)}


def _of(effect: str) -> set[str]:
    service, _, call = effect.partition(".")
    found = set()
    for line in filter(None, map(str.strip, _ASKED.splitlines())):
        resource, _, calls = line.partition(": ")
        full = resource if "." in resource else f"vertex.{resource}"
        if full.startswith(f"{service}."):
            methods = dict(each.split("=") for each in calls.split())
            prefix = full.replace("vertex.", "aiplatform.")
            found |= {f"{prefix}.{verb}" for verb in filter(None, methods.get(call, "").split("&"))}
    return found
