"""What is installed is what was looked at: every requirement is pinned to a version and to hashes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = sorted([ROOT / "requirements.txt", *(ROOT / "functions").glob("*/requirements.txt")])
PIN = re.compile(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[A-Za-z0-9.+!_-]+( ; [^\\]+)?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def problems(text: str) -> list[str]:
    """The requirements of a list that are not pinned to a version and to a hash, and lines that are none."""
    whole = [line.strip() for line in text.replace("\\\n", " ").splitlines()]
    return [line for line in whole if line and not line.startswith("#") and not _pinned(line)]


def _pinned(line: str) -> bool:
    requirement, *rest = re.split(r"\s+(?=--)", line)
    return bool(PIN.fullmatch(requirement.strip()) and rest and all(HASH.fullmatch(each.strip()) for each in rest))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.parent.name)
def test_every_requirement_is_pinned_to_a_version_and_to_hashes(path: Path) -> None:
    text = path.read_text()
    assert text.count("==") > 20
    assert problems(text) == []


def test_every_function_has_a_list_of_its_own() -> None:
    functions = {path.parent.name for path in (ROOT / "functions").glob("*/main.py")}
    assert {path.parent.name for path in LISTS} == {*functions, ROOT.name}


def versions(path: Path) -> set[tuple[str, str]]:
    return set(re.findall(r"^([A-Za-z0-9._-]+)==([^ \\;]+)", path.read_text(), re.MULTILINE))


def test_a_function_runs_with_the_versions_that_the_tests_ran_with() -> None:
    tested = versions(ROOT / "requirements.txt")
    assert {path.parent.name: versions(path) - tested for path in LISTS if versions(path) - tested} == {}


@pytest.mark.parametrize(
    "line",
    [
        "requests==2.0",
        "requests>=2.0 --hash=sha256:" + "0" * 64,
        "requests==2.0 --hash=md5:" + "0" * 32,
        "--index-url https://registry.example.org/simple",
        "--extra-index-url https://registry.example.org/simple",
        "--find-links https://registry.example.org/",
        "requests @ https://registry.example.org/requests.whl --hash=sha256:" + "0" * 64,
        "git+https://example.org/requests.git",
        "-e .",
    ],
)
def test_the_check_notices(line: str) -> None:
    assert problems(f"{line}\n")
