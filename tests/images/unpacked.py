"""An image without Docker: exactly the files that its Dockerfile copies, and exactly the packages that it installs."""

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
IMAGES = ("serving", "training")
_INSTRUCTION = re.compile(r"^([A-Z]+) (.+)$", re.MULTILINE)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==\S+(?: ; (.+?))? \\$", re.MULTILINE)


def dockerfile(image: str) -> str:
    return (ROOT / f"{image}_image" / "Dockerfile").read_text()


def instructions(text: str) -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [(match[1], match[2]) for match in _INSTRUCTION.finditer(joined)]


def final_stage(text: str) -> list[tuple[str, str]]:
    """The instructions of the image that is delivered."""
    found = instructions(text)
    last = max(place for place, (kind, _) in enumerate(found) if kind == "FROM")
    return found[last:]


def unpack(image: str, folder: Path) -> None:
    """Copies what the final stage copies from the repository, to where it copies it."""
    for kind, said in final_stage(dockerfile(image)):
        if kind == "COPY" and not said.startswith("--from="):
            source, target = said.split()
            shutil.copytree(ROOT / source, folder / target, ignore=shutil.ignore_patterns("__pycache__"))


def packages(image: str, folder: Path) -> None:
    """Makes a folder of packages in which only the image's own requirements can be imported."""
    for name in _required(image):
        for path, target in _modules(distribution(name)):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if not (folder / path).exists():
                (folder / path).symlink_to(target)


def command(image: str) -> list[str]:
    """The entry point, for this machine's Python; without the path files of the environment that the tests run in."""
    (said,) = [said for kind, said in final_stage(dockerfile(image)) if kind == "ENTRYPOINT"]
    _, *arguments = re.findall(r'"([^"]+)"', said)
    return [sys.executable, "-S", *arguments]


def _required(image: str) -> list[str]:
    pinned = (ROOT / f"{image}_image" / "requirements.txt").read_text()
    return [match[1] for match in _PINNED.finditer(pinned) if _applies(match[2])]


def _applies(marker: str | None) -> bool:
    return not marker or not any(other in marker for other in ("win32'", "Windows", "emscripten"))


def _modules(found: Distribution) -> Iterator[tuple[PurePosixPath, Path]]:
    for file in found.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            yield PurePosixPath(file), Path(str(found.locate_file(file))).resolve()
