"""Every function is loaded from exactly the files that its deployment uploads: a forgotten one is missed here."""

import hashlib
import io
import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from deploy import source
from shared.wiring import FUNCTIONS

ANSWERING = Path(__file__).with_name("answering.py")


def unpacked(folder: Path, functions: tuple[str, ...] = FUNCTIONS) -> Path:
    for function in functions:
        source.write(function, folder / function)
    wheel = (folder / functions[0] / source.WHEEL).read_bytes()
    zipfile.ZipFile(io.BytesIO(wheel)).extractall(folder / "wheel")
    return folder


def answered(sources: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", str(ANSWERING), sysconfig.get_path("purelib"), str(sources)]
    return subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)


def test_every_function_answers_from_what_its_deployment_uploads(tmp_path: Path) -> None:
    done = answered(unpacked(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(FUNCTIONS, 400)


@pytest.mark.parametrize("forgotten", ["record_dead_letter/main.py", "wheel/shared/step.py"])
def test_a_forgotten_file_is_noticed(forgotten: str, tmp_path: Path) -> None:
    sources = unpacked(tmp_path, ("record_dead_letter",))
    (sources / forgotten).unlink()
    assert answered(sources).returncode != 0


def test_a_source_pins_its_wheel_by_hash_and_is_packed_the_same_every_time() -> None:
    files = source.files_of("notify")
    wheel = files[source.WHEEL]
    pinned = f"./{source.WHEEL} --hash=sha256:{hashlib.sha256(wheel).hexdigest()}"
    assert files["requirements.txt"].decode().splitlines()[-1] == pinned
    assert source.wheel.__wrapped__() == wheel
