"""The training and the serving image: built by Cloud Build from exactly what their Dockerfiles copy, used by digest.

A tag is a hash of the files, so an image whose files have not changed is not built again.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from deploy import source
from deploy.steps import Look, Step
from deploy.target import BUILDER, Target

NAMES = ("serving_image", "training_image")
_COPY = re.compile(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", re.MULTILINE)
_BUILD_TIMEOUT_SECONDS = 1800


def images(target: Target) -> Iterator[Step]:
    """The images that no digest was given for."""
    for name in NAMES:
        if getattr(target, name):
            continue
        described = ("artifacts", "docker", "images", "describe", named(target, name), "--format=json")
        place = f"--region={target.region}"
        staging = f"--gcs-source-staging-dir=gs://{target.artefacts}/build/source"
        build = ("builds", "submit", f"{{context:{name}}}", place, f"--config={{build:{name}}}", staging)
        yield Step(f"the image {name}", ((*build, "--suppress-logs"),), Look(described), together="images")


def used(target: Target, name: str) -> str:
    """What a function is told: the digest that was given, or that of the built image once it is known."""
    given: str = getattr(target, name)
    return given or f"{{image:{name}}}"


def named(target: Target, name: str) -> str:
    """An image by tag, or by the digest that was given."""
    given: str = getattr(target, name)
    return given or f"{target.image(name)}:{tag(target, name)}"


@cache
def tag(target: Target, name: str) -> str:
    """A hash of the image's files and of what it is built on."""
    return source.digest(context(name), target.base_image)


@cache
def context(name: str, root: Path = source.ROOT) -> dict[str, bytes]:
    """Name and content of the Dockerfile and of every file that it copies."""
    dockerfile = root / name / "Dockerfile"
    copied = [root / each for line in _COPY.findall(dockerfile.read_text(encoding="utf-8")) for each in line.split()]
    found = {dockerfile, *(file for each in copied for file in _files(each))}
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in sorted(found)}


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts]


def write(name: str, folder: Path) -> None:
    """Puts an image's files into a folder."""
    for path, content in context(name).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def config(target: Target, name: str) -> str:
    """The build, as `gcloud builds submit --config` takes it: the base by its digest, then the image."""
    docker = "gcr.io/cloud-builders/docker"
    resolve = (
        f"docker pull --quiet {target.base_image} && "
        f"docker inspect --format '{{{{index .RepoDigests 0}}}}' {target.base_image} | tee /workspace/base"
    )
    image = named(target, name)
    build = f'docker build --build-arg BASE_IMAGE="$(cat /workspace/base)" --file {name}/Dockerfile --tag {image} .'
    steps = [{"name": docker, "entrypoint": "bash", "args": ["-euc", each]} for each in (resolve, build)]
    made = {
        "steps": steps,
        "images": [image],
        "timeout": f"{_BUILD_TIMEOUT_SECONDS}s",
        "options": {"logging": "CLOUD_LOGGING_ONLY"},
        "serviceAccount": f"projects/{target.project}/serviceAccounts/{target.email(BUILDER)}",
    }
    return json.dumps(made, indent=1)
