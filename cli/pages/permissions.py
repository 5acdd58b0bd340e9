"""docs/permissions.md: what each function may do, from the wiring that the deployment is made from."""

from collections.abc import Iterator

from deploy.roles import run_roles
from shared import wiring

_HEAD = """# What each function may do

Made from `shared/wiring.py` by `make docs`. The same table makes the roles that `deploy.sh` gives. The world in
memory refuses a function whatever is not in it, in every test; after the whole suite, what no test has used is an
error. So this is what functions need, neither less nor more.

Each function has a service account of its own. All read and create objects in the state bucket, and none may
overwrite or delete one, there or anywhere. All may publish on `notifications`: what is refused is told. Nobody
writes to the data bucket.

| function | reads | creates | publishes on | asks Vertex AI to | roles on Cloud Run |
|---|---|---|---|---|---|
"""
_TAIL = """
Beside them:

- `reconcile` reads the end of a failed job's log (`logging.list`, `roles/logging.viewer`).
- `launch_training` may act as the training job's account (`roles/iam.serviceAccountUser` on that account alone).
- Who deploys models, or moves their traffic, may act as the account that serves them (`roles/iam.serviceAccountUser` on
  it), and whoever names an image to Cloud Run reads the image repository.
- `notify` reads the secrets that hold its channels, where the deployment names any.
- The training job's account reads the data bucket, reads and creates in state and artefacts, and publishes on
  `evaluation-completed` and `training-failed`.
- The serving account reads the artefacts (the model) and the state (the key of its receipts), and publishes on
  `evidence-reported`.
- Pub/Sub's pusher may call the functions, and nobody else may.

Vertex AI's calls are listed by the names under which they pass the door. The deployment gives whoever is in that
column `roles/aiplatform.user`, which holds more than these calls: a narrower role needs permissions whose names
Serin has had no project to try on.

What each of them is on Cloud Run, `shared/wiring.py` says beside them; the roles are Google's own (`deploy/roles.py`).
Services and jobs are made by functions while they run, so these roles are on the project. There, `roles/run.developer`
reaches the functions' own services too: it cannot give them other code without acting as their accounts, which nobody
may, but it could delete them. `smoke_test` may call every service of the project; the functions refuse it, because its
tokens are not the pusher's.
"""


def page() -> str:
    """The page as it must stand."""
    return f"{_HEAD}{''.join(_rows())}{_TAIL}"


def _rows() -> Iterator[str]:
    for name in sorted(wiring.FUNCTIONS):
        reads = [
            thing for thing, who in (("data", wiring.READS_DATA), ("artefacts", wiring.READS_ARTEFACTS)) if name in who
        ]
        creates = ["artefacts"] if name in wiring.WRITES_ARTEFACTS else []
        calls = [
            call.removeprefix("vertex.") for call in sorted(wiring.VERTEX.get(name, ())) if call.startswith("vertex.")
        ]
        on_cloud_run = [f"`{each}`" for each in run_roles(wiring.CLOUD_RUN.get(name, ()))]
        cells = (["state", *reads], ["state", *creates], list(wiring.may_publish(name)), calls, on_cloud_run)
        yield f"| `{name}` | {' | '.join(', '.join(cell) for cell in cells)} |\n"
