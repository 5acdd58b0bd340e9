"""A function dies where it is told to, once per order, and nothing that is deployed can be told so."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from deploy.source import files_of
from shared.environment import open_cloud
from shared.errors import Conflict
from tests.e2e.soak_function import FOLDER, MortalDoor, behind
from tests.e2e.soak_points import Passage, Point, Points, When
from tests.world.cloud import MemoryCloud

ROOT = Path(__file__).parents[2]
MODULE = "tests.e2e.soak_function"


class Died(Exception):
    """In the place of kill -9."""


def die() -> None:
    raise Died


def passing(_effect: str, act: Callable[[], Any]) -> Any:
    return act()


def door(points: Points, function: str = "check_rows") -> MortalDoor:
    return MortalDoor(Passage(points.folder, function), die, passing)


def points(folder: Path) -> Points:
    return Points(folder)


def died(opened: MortalDoor, effect: str = "storage.create") -> list[str]:
    """What was done by who passed, and `died` if that was his end."""
    done: list[str] = []
    try:
        opened(effect, lambda: done.append("done"))
    except Died:
        done.append("died")
    return done


@pytest.mark.parametrize(("when", "expected"), [("before", ["died"]), ("after", ["done", "died"])])
def test_who_is_ordered_dies_right_before_or_right_after_the_effect(
    tmp_path: Path, when: When, expected: list[str]
) -> None:
    known, other = points(tmp_path), "after" if when == "before" else "before"
    known.hits[Point("check_rows", "storage.create", other)] += 1  # type: ignore[arg-type]
    known.order("check_rows", [])
    assert died(door(known)) == expected
    assert known.look() == [Point("check_rows", "storage.create", when)]


def test_without_an_order_nobody_dies(tmp_path: Path) -> None:
    assert died(door(points(tmp_path))) == ["done"]


def test_an_order_is_good_for_one_death_whoever_takes_it(tmp_path: Path) -> None:
    known = points(tmp_path)
    known.order("check_rows", [])
    assert [died(door(known)), died(door(known))] == [["died"], ["done"]]


def test_an_order_is_for_one_function(tmp_path: Path) -> None:
    known = points(tmp_path)
    known.order("notify", [])
    assert died(door(known)) == ["done"]


def test_where_somebody_has_died_nobody_dies_again_unless_it_is_wanted(tmp_path: Path) -> None:
    known = points(tmp_path)
    both = [Point("check_rows", "storage.create", when) for when in ("before", "after")]  # type: ignore[arg-type]
    known.hits.update(both)
    known.order("check_rows", [])
    assert died(door(known)) == ["done"]
    known.order("check_rows", both[1:])
    assert died(door(known)) == ["done", "died"]


def test_an_order_may_spare_the_reads(tmp_path: Path) -> None:
    known = points(tmp_path)
    known.order("check_rows", [], at_reads=False)
    assert died(door(known), "storage.read") == ["done"]
    assert died(door(known), "storage.create") == ["died"]


def test_only_who_has_just_begun_can_die_at_what_a_process_does_once(tmp_path: Path) -> None:
    known = points(tmp_path)
    for effect in ("oidc.keys", "storage.create"):
        door(known)(effect, lambda: None)
    known.look()
    for _ in ("before", "after"):
        assert known.order_first("check_rows")
        assert died(door(known)) == ["done"]
        assert died(door(known), "oidc.keys")[-1] == "died"
        known.look()
    assert not known.order_first("check_rows")


def test_a_point_that_is_often_passed_and_never_hit_is_missed_and_a_burst_is_one_occasion(tmp_path: Path) -> None:
    known = points(tmp_path)
    path = tmp_path / "effects" / "notify"
    path.write_text("100.0 notify.send 0\n101.0 notify.send 0\n120.0 notify.send 0\n")
    known.look()
    known.hits[Point("notify", "notify.send", "after")] += 1
    assert known.missed(2) == [Point("notify", "notify.send", "before")]
    assert known.missed(3) == []


def test_recalled_orders_kill_nobody(tmp_path: Path) -> None:
    known = points(tmp_path)
    known.order("check_rows", [])
    known.recall()
    assert died(door(known)) == ["done"]


def test_what_was_done_is_written_down_with_the_names_it_listed(tmp_path: Path) -> None:
    known = points(tmp_path)
    door(known)("storage.list", lambda: ["a", "b"])
    door(known)("storage.read", lambda: b"four")
    known.look()
    assert [(each.name, each.listed, each.operations) for each in known.effects] == [
        ("storage.list", 2, 1), ("storage.read", 0, 1),
    ]  # fmt: skip
    assert (known.done("reconcile"), known.done("check_rows")) == (2, 0)
    assert {str(point) for point in known.of("check_rows")} == {
        f"check_rows {when} storage.{name}" for when in ("before", "after") for name in ("list", "read")
    }


def test_an_effect_that_was_refused_was_an_operation_too(tmp_path: Path) -> None:
    known = points(tmp_path)

    def refused() -> None:
        raise Conflict("storage.create")

    with pytest.raises(Conflict):
        door(known)("storage.create", refused)
    known.look()
    assert len(known.effects) == 1


def test_a_line_that_is_only_half_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    known = points(tmp_path)
    path = tmp_path / "effects" / "notify"
    path.write_text("1.5 storage.list 2500\n2.0 stor")
    known.look()
    with path.open("a") as file:
        file.write("age.read 0\n")
    known.look()
    assert [(each.at, each.name, each.operations) for each in known.effects] == [
        (1.5, "storage.list", 3), (2.0, "storage.read", 1),
    ]  # fmt: skip


def test_every_request_finds_the_soaks_world_in_place_of_the_environments() -> None:
    world, seen = MemoryCloud(), []

    def app(_environ: Any, _start: Any) -> Iterable[bytes]:
        seen.append(open_cloud())
        return [b""]

    behind(app, lambda: world)({}, None)
    assert seen == [world]


@pytest.mark.parametrize("storage", [None, "https://storage.googleapis.com"])
def test_it_refuses_to_run_where_the_services_are_not_this_machines(tmp_path: Path, storage: str | None) -> None:
    known = {
        "GOOGLE_CLOUD_PROJECT": "p", "SERIN_DATA_BUCKET": "d", "SERIN_STATE_BUCKET": "s",
        "SERIN_ARTEFACTS_BUCKET": "a", FOLDER: str(tmp_path), "PATH": os.environ["PATH"],
    }  # fmt: skip
    where = {"STORAGE_EMULATOR_HOST": storage} if storage else {}
    target = ["--source", "functions/notify/main.py", "--target", "notify", "--host", "127.0.0.1", "--port", "1"]
    ended = subprocess.run(
        [sys.executable, "-m", MODULE, *target], env=known | where, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, "own services only" in ended.stderr) == (1, True)


def test_nothing_that_is_deployed_can_be_told_to_die() -> None:
    deployed = [
        (function.name, name, content)
        for function in sorted((ROOT / "functions").iterdir())
        if (function / "main.py").exists()
        for name, content in files_of(function.name).items()
    ]
    images = [
        (folder, path.name, path.read_bytes())
        for folder in ("shared", "serving_image", "training_image")
        for path in (ROOT / folder).rglob("*.py")
    ]
    words = (FOLDER.encode(), b"SERIN_FUNCTIONS_RUNNER", b"MortalDoor")
    assert len(deployed) > len(images) > 0
    assert [
        (where, name) for where, name, content in (*deployed, *images) if any(word in content for word in words)
    ] == []
    assert not any("tests" in name for _, name, _ in deployed)
