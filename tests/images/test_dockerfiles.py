"""What a container is made of: its base known by digest, nobody's rights, no tools, no secrets, no forgotten file."""

import re

import pytest

from tests.images.unpacked import IMAGES, ROOT, dockerfile, final_stage, instructions


def faults(text: str) -> list[str]:
    """Everything that is wrong with a Dockerfile."""
    every, last = instructions(text), final_stage(text)
    said = dict(last)
    copied = [rest.split()[0] for kind, rest in last if kind == "COPY" and not rest.startswith("--from=")]
    checks = {
        "a base that is no argument": all(rest.startswith("${BASE_IMAGE}") for kind, rest in every if kind == "FROM"),
        "a default base": ("ARG", "BASE_IMAGE") in every and not re.search(r"^ARG BASE_IMAGE=", text, re.MULTILINE),
        "a base without a digest is built": any("@sha256:*" in rest for kind, rest in every if kind == "RUN"),
        "the base is not recorded": 'base.name="${BASE_IMAGE}"' in said.get("LABEL", ""),
        "one stage only": sum(kind == "FROM" for kind, _ in every) > 1,
        "runs as root": re.fullmatch(r"[1-9]\d*", said.get("USER", "0")) is not None,
        "build tools": "pip uninstall --yes" in text and not re.search(r"apt-get|gcc|build-essential", text),
        "packages without hashes": "--require-hashes" in text and "--only-binary :all:" in text,
        "latest": ":latest" not in text,
        "a secret": not re.search(r"(?i)(?:ARG|ENV) .*(?:secret|token|password|key)", text),
        "copies more than it needs": all(re.fullmatch(r"[a-z_]+/", source) for source in copied),
        "no entry point": said.get("ENTRYPOINT", "").startswith('["python", "-m", '),
    }
    return [fault for fault, held in checks.items() if not held]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_made_as_it_should_be(image: str) -> None:
    assert faults(dockerfile(image)) == []


@pytest.mark.parametrize(
    ("line", "other", "fault"),
    [
        ("ARG BASE_IMAGE\n", "ARG BASE_IMAGE=python:3.11-slim\n", "a default base"),
        ("FROM ${BASE_IMAGE}\n", "FROM python:latest\n", "a base that is no argument"),
        ("@sha256:*", "*", "a base without a digest is built"),
        ("USER 10001\n", "", "runs as root"),
        ("USER 10001\n", "USER 0\n", "runs as root"),
        ("pip uninstall --yes", "pip list", "build tools"),
        (" --require-hashes", "", "packages without hashes"),
        ("COPY shared/ shared/", "COPY . .", "copies more than it needs"),
        ('ARG COMMIT=""', 'ARG API_TOKEN=""', "a secret"),
    ],
)
def test_each_fault_is_seen(line: str, other: str, fault: str) -> None:
    whole = dockerfile("serving")
    broken = whole.replace(line, other) if line in whole else whole.replace(line.lstrip(), other)
    assert broken != whole
    assert fault in faults(broken)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_the_versions_that_are_tested(image: str) -> None:
    tested = set((ROOT / "requirements.txt").read_text().splitlines())
    own = [line for line in (ROOT / f"{image}_image" / "requirements.txt").read_text().splitlines() if "==" in line]
    unknown = {line.split(" ")[0] for line in own} - {line.split(" ")[0] for line in tested}
    assert own and not unknown


def test_what_is_not_copied_is_not_sent_to_the_build_either() -> None:
    sent = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = {
        rest.split()[0].split("/")[0]
        for image in IMAGES
        for kind, rest in instructions(dockerfile(image))
        if kind == "COPY" and not rest.startswith("--from=")
    }
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert sent == copied
