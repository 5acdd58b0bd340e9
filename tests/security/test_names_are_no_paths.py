"""What an object is called is somebody else's word: it is never a path, neither in a folder nor in the ledger."""

import ast
import re
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cli.downloading import download, file_name
from local import storage
from shared.errors import BadInput
from tests.functions.standing_run import keys
from tests.world.cloud import MemoryCloud
from tests.world.running import drop, settle

ROOT = Path(__file__).parents[2]
WICKED = (
    "../../etc/passwd", "/etc/passwd", "..", ".", "", "a/../../b", "a\\..\\b", "C:\\x", "con", "NUL.txt", "\x00",
    "a\nb", "\u202egpj.exe", "~/.ssh/authorized_keys", ".bashrc", "-rf", "%2e%2e%2fx", "x" * 900,
)  # fmt: skip
PRODUCT = ("shared", "functions", "training_image", "serving_image", "local", "cli")


@pytest.mark.parametrize("name", WICKED)
def test_a_wicked_name_is_the_name_of_no_file(name: str) -> None:
    found = file_name(name)
    assert found is None or found in {"passwd", "b", "authorized_keys"}


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1, max_size=60))
@example("../x")
def test_whatever_an_object_is_called_only_files_of_the_folder_are_written(tmp_path_factory: object, name: str) -> None:
    folder = tmp_path_factory.mktemp("there")  # type: ignore[attr-defined]
    cloud = MemoryCloud()
    cloud.artefacts.put(f"digits/{name}", b"x")
    try:
        written = download(cloud.artefacts, "digits/", folder / "inside")
    except BadInput:
        written = []
    assert sorted(folder.rglob("*")) == sorted({folder / "inside", *written} if written else set())
    assert all(path.parent == folder / "inside" and path.is_file() for path in written)


def test_a_link_in_the_folder_is_not_written_through(tmp_path: Path) -> None:
    cloud, outside, inside = MemoryCloud(), tmp_path / "outside", tmp_path / "inside"
    outside.write_bytes(b"mine")
    inside.mkdir()
    (inside / "model.onnx").symlink_to(outside)
    cloud.artefacts.put("digits/model.onnx", b"theirs")
    with pytest.raises(BadInput):
        download(cloud.artefacts, "digits/", inside)
    assert outside.read_bytes() == b"mine"


def test_two_objects_do_not_become_one_file(tmp_path: Path) -> None:
    cloud = MemoryCloud()
    for name in ("a/model.onnx", "b/model.onnx"):
        cloud.artefacts.put(f"digits/{name}", b"x")
    with pytest.raises(BadInput, match="the same file"):
        download(cloud.artefacts, "digits/", tmp_path)


def test_the_local_cloud_storage_keeps_objects_in_files_of_its_own_naming(tmp_path: Path) -> None:
    """Large enough for files: small bodies are rows of a database."""
    body, folder = b"x" * 100_000, tmp_path / "inside" / "storage"
    with storage.running(folder) as server:
        httpx.post(f"{server.url}/storage/v1/b?project=p", json={"name": "data"}).raise_for_status()
        for name in filter(None, WICKED):
            query = {"uploadType": "media", "name": name}
            httpx.post(f"{server.url}/upload/storage/v1/b/data/o", params=query, content=body, timeout=60)
        everything = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert all(path.is_relative_to(folder) for path in everything)
    bodies = [path.name for path in everything if path.parent == folder / "files"]
    assert bodies
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in bodies)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_no_key_of_the_ledger_is_made_of_a_files_name(name: str) -> None:
    cloud = MemoryCloud()
    drop(cloud, "settings/digits.toml", b'[data]\ntarget = "y"\n')
    drop(cloud, f"data/digits/{name}", b"a,y\n1,2\n3,4\n")
    settle(cloud, {"check_rows", "check_settings"}.__contains__)
    assert all(re.fullmatch(r"[a-z0-9/_.-]+", key) for key in keys(cloud))
    assert not [key for key in keys(cloud) if ".." in key or "//" in key]


def test_nothing_that_people_open_with_a_spreadsheet_is_written() -> None:
    """Results, rejected rows and lists are JSON: docs/decisions/spreadsheets.md."""
    writers = {"csv.writer", "csv.DictWriter", "write_csv", "to_csv", "sink_csv", "write_excel", "to_excel"}
    found = set()
    for path in (path for name in PRODUCT for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and writers & {node.attr, ast.unparse(node)}:
                found.add(path.relative_to(ROOT).as_posix())
    # The demo makes the files that it drops: input, from scikit-learn's own numbers.
    assert found == {"cli/demo/story.py"}
