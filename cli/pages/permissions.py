"""docs/permissions.md: what each function may do, from the wiring that the deployment is made from."""

from collections.abc import Iterator

from deploy.custom_roles import role_id
from deploy.permissions import permissions
from shared import wiring

_HEAD = """# What each function may do

Made from `shared/wiring.py` by `make docs`. The same table makes the roles that `deploy.sh` gives. The world in
memory refuses a function whatever is not in it, in every test; after the whole suite, what no test has used is an
error. So this is what functions need, neither less nor more.

Each function has a service account of its own. All read and create objects in the state bucket, and none may
overwrite or delete one, there or anywhere. All may publish on `notifications`: what is refused is told. Nobody
writes to the data bucket.

| function | reads | creates | publishes on | asks Vertex AI to | asks Cloud Run to |
|---|---|---|---|---|---|
"""
_TAIL = """
Beside them:

- `reconcile` reads the end of a failed job's log (`logging.list`).
- `launch_training` may act as the training job's account (`roles/iam.serviceAccountUser` on that account alone).
- Who deploys models, or moves their traffic, may act as the account that serves them (`roles/iam.serviceAccountUser` on
  it), and whoever names an image to Cloud Run reads the image repository.
- `notify` reads the secrets that hold its channels, where the deployment names any.
- The training job's account reads the data bucket, reads and creates in state and artefacts, and publishes on
  `evaluation-completed` and `training-failed`.
- The serving account reads the artefacts (the model) and the state (the key of its receipts), and publishes on
  `evidence-reported`.
- Pub/Sub's pusher may call the functions, and nobody else may.

The calls are listed by the names under which they pass the door. Whoever makes any has a role of its own in the
project, which holds what these calls need and nothing else (`deploy/permissions.py` has call for call; why they are on
the project, and what Google leaves open, is in [custom-roles.md](decisions/custom-roles.md)). Services and jobs are
made by functions while they run, so there is nothing narrower to give a role on. There a role reaches the functions'
own services too: it cannot give them other code without acting as their accounts, which nobody may, but who may delete
a model's service could delete them. `smoke_test` may call every service of the project; the functions refuse it,
because its tokens are not the pusher's.

| role | holds |
|---|---|
"""


def page() -> str:
    """The page as it must stand."""
    return f"{_HEAD}{''.join(_rows())}{_TAIL}{''.join(_roles())}"


def _rows() -> Iterator[str]:
    for name in sorted(wiring.FUNCTIONS):
        reads = [
            thing for thing, who in (("data", wiring.READS_DATA), ("artefacts", wiring.READS_ARTEFACTS)) if name in who
        ]
        creates = ["artefacts"] if name in wiring.WRITES_ARTEFACTS else []
        calls = [
            call.removeprefix("vertex.") for call in sorted(wiring.VERTEX.get(name, ())) if call.startswith("vertex.")
        ]
        on_cloud_run = [
            call.removeprefix("run.") for call in sorted(wiring.CLOUD_RUN.get(name, ())) if call.startswith("run.")
        ]
        cells = (["state", *reads], ["state", *creates], list(wiring.may_publish(name)), calls, on_cloud_run)
        yield f"| `{name}` | {' | '.join(', '.join(cell) for cell in cells)} |\n"


def _roles() -> Iterator[str]:
    for name in sorted(wiring.FUNCTIONS):
        held = permissions(wiring.VERTEX.get(name, frozenset()) | wiring.CLOUD_RUN.get(name, frozenset()))
        if held:
            yield f"| `{role_id(name)}` | {', '.join(held)} |\n"
