"""The GitHub Actions twin: no key anywhere, actions by commit, production only after staging and an approval."""

import re
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[2] / "examples" / "github" / "workflows" / "deliver.yml"
WORKFLOW: dict[str, Any] = yaml.safe_load(FILE.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]


def steps(job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = JOBS[job]["steps"]
    return found


def test_no_step_holds_a_key() -> None:
    text = FILE.read_text()
    assert "secrets." not in text
    assert "credentials_json" not in text
    for job in JOBS:
        for step in steps(job):
            if step.get("uses", "").startswith("google-github-actions/auth@"):
                assert set(step["with"]) == {"workload_identity_provider", "service_account"}


def test_only_jobs_that_speak_to_google_may_ask_for_a_token() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    with_token = {job for job in JOBS if JOBS[job].get("permissions", {}).get("id-token") == "write"}
    with_google = {job for job in JOBS if any("google-github-actions/auth" in str(step) for step in steps(job))}
    assert with_token == with_google == {"images", "staging", "production"}


def test_every_action_is_named_by_its_commit() -> None:
    used = [step["uses"] for job in JOBS for step in steps(job) if "uses" in step]
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []


def test_production_follows_staging_and_an_approval_with_the_images_that_staging_tried() -> None:
    assert JOBS["production"]["needs"] == ["images", "staging"]
    assert JOBS["production"]["environment"] == "production"
    assert JOBS["staging"]["env"] == JOBS["production"]["env"]
    assert "refs/tags/v" in JOBS["production"]["if"]


def test_it_runs_the_commands_that_people_type() -> None:
    makefile = (FILE.parents[3] / "Makefile").read_text()
    said = " ".join(step.get("run", "") for job in JOBS for step in steps(job))
    wanted = set(re.findall(r"\bmake ([a-z-]+)", said))
    assert wanted >= {"check", "test", "story", "code-pushed"}
    assert "./deploy.sh" in said
    assert {each for each in ("check", "test") if f"\n{each}:" not in makefile} == set()
