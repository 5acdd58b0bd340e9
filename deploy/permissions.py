"""What IAM asks of whoever does a thing: each effect of the wiring as Google's permissions, no more than it needs.

Read in Google's tables of methods and their permissions; what they leave open is in docs/decisions/custom-roles.md.
- https://cloud.google.com/vertex-ai/docs/general/iam-permissions
- https://cloud.google.com/run/docs/reference/iam/permissions
- https://cloud.google.com/logging/docs/access-control
"""

from collections.abc import Iterable, Mapping

PERMISSIONS: Mapping[str, tuple[str, ...]] = {
    "logging.list": ("logging.logEntries.list",),
    "run.create_job": ("run.jobs.create", "run.jobs.run"),  # a job is created together with its one execution
    "run.create_service": ("run.services.create",),
    "run.delete_job": ("run.jobs.delete",),
    "run.delete_service": ("run.services.delete",),
    "run.deploy": ("run.services.update",),
    "run.get_execution": ("run.executions.get",),
    "run.get_job": ("run.jobs.get",),
    "run.get_operation": ("run.operations.get",),
    "run.get_service": ("run.services.get",),
    "run.identity": (),  # an account's own token, from the metadata server
    "run.list_jobs": ("run.jobs.list",),
    "run.predict": ("run.routes.invoke",),
    "run.set_split": ("run.services.update",),
    "run.undeploy": ("run.services.update",),
    "vertex.cancel_batch_job": ("aiplatform.batchPredictionJobs.cancel",),
    "vertex.cancel_job": ("aiplatform.customJobs.cancel",),
    # The table names nothing that is asked on the model which is scored or deployed; it does not say that nothing is.
    "vertex.create_batch_job": ("aiplatform.batchPredictionJobs.create", "aiplatform.models.get"),
    "vertex.create_endpoint": ("aiplatform.endpoints.create",),
    "vertex.create_job": ("aiplatform.customJobs.create",),
    "vertex.delete_version": ("aiplatform.models.delete",),
    "vertex.deploy": ("aiplatform.endpoints.deploy", "aiplatform.models.get"),
    "vertex.get_batch_job": ("aiplatform.batchPredictionJobs.get",),
    "vertex.get_endpoint": ("aiplatform.endpoints.get",),
    "vertex.get_job": ("aiplatform.customJobs.get",),
    # Of an upload, of an endpoint's creation, of a deployment: whoever may get the thing may get its operation.
    "vertex.get_operation": ("aiplatform.endpoints.get", "aiplatform.models.get"),
    "vertex.get_version": ("aiplatform.models.get",),
    "vertex.list_batch_jobs": ("aiplatform.batchPredictionJobs.list",),
    "vertex.list_jobs": ("aiplatform.customJobs.list",),
    "vertex.list_versions": ("aiplatform.models.get", "aiplatform.models.list"),  # listVersions is not in the table
    "vertex.make_default": ("aiplatform.models.update",),  # mergeVersionAliases is not in the table
    "vertex.predict": ("aiplatform.endpoints.predict",),
    "vertex.set_split": ("aiplatform.endpoints.update",),
    "vertex.undeploy": ("aiplatform.endpoints.undeploy",),
    "vertex.upload": ("aiplatform.models.upload",),
}


def permissions(effects: Iterable[str]) -> tuple[str, ...]:
    """The permissions that these effects need together, sorted. Raises KeyError for an effect that is not here."""
    return tuple(sorted({each for effect in effects for each in PERMISSIONS[effect]}))
