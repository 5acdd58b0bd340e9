"""Cloud Run has room for a thousand jobs: what ended in earlier runs of a model goes, but for the last of them."""

import pytest

from shared.errors import Refused
from shared.jobs import JobOrder
from shared.run_jobs import CloudRunJobs
from tests.world.cloud import MemoryCloud

KEPT = CloudRunJobs.kept_jobs


def make(cloud: MemoryCloud, model: str, run: int, status: str = "EXECUTION_SUCCEEDED") -> None:
    labels = {"managed-by": "serin", "serin-model": model, "serin-run": f"{model}-{run:06d}"}
    order = JobOrder(f"serin-{model}-{run:06d}-1", labels, "image", {}, "", "", "", 0, 60, None)
    cloud.jobs.end(cloud.run_jobs.create_job(order).name, status)
    cloud.pass_time(60)


def standing(cloud: MemoryCloud) -> list[str]:
    return sorted(name.rsplit("/", 1)[-1] for name in cloud.jobs.found)


@pytest.fixture
def cloud() -> MemoryCloud:
    """As many runs of a model as are kept have ended, one job still runs, and another model has a job."""
    made = MemoryCloud()
    made.run_jobs = CloudRunJobs(made.environment, made.door, made.jobs, made.jobs)
    make(made, "birds", 1)
    make(made, "digits", 1, "EXECUTION_RUNNING")
    for run in range(2, KEPT + 2):
        make(made, "digits", run)
    return made


def test_of_a_models_ended_jobs_the_oldest_go_and_what_runs_stays(cloud: MemoryCloud) -> None:
    before = standing(cloud)
    assert len(before) == KEPT + 2
    make(cloud, "digits", KEPT + 2)
    make(cloud, "digits", KEPT + 3)
    gone = {"serin-digits-000002-1"}
    assert set(standing(cloud)) == {*before, "serin-digits-000022-1", "serin-digits-000023-1"} - gone


def test_a_job_that_cannot_be_deleted_holds_up_no_run(cloud: MemoryCloud) -> None:
    make(cloud, "digits", KEPT + 2)
    cloud.door.before["run.delete_job"] = Refused("run.delete_job", "status 403: no")
    make(cloud, "digits", KEPT + 3)
    assert "serin-digits-000023-1" in standing(cloud)
    assert "serin-digits-000002-1" in standing(cloud)
