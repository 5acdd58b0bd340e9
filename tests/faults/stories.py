"""Whole runs, each a list of what people and the world do; together they meet every effect that the functions have."""

from shared.ids import RunId
from shared.vertex import Version
from tests.faults.outside import MODEL, SETTINGS, VARIABLES, Outside
from tests.faults.whole_run import Play, Story
from tests.world.cloud import MemoryCloud


def settings(outside: Outside) -> None:
    outside.drop(f"settings/{MODEL}.toml", SETTINGS)


def settings_of_cloud_run(outside: Outside) -> None:
    backend = b'backend = "cloud_run"\n'
    served = SETTINGS.replace(b"[serving]\n", b"[serving]\n" + backend)
    outside.drop(f"settings/{MODEL}.toml", served + b"[training]\n" + backend)


def settings_of_a_long_bake(outside: Outside) -> None:
    outside.drop(f"settings/{MODEL}.toml", SETTINGS.replace(b"bake_seconds = 40", b"bake_seconds = 400"))


def first_rows(outside: Outside) -> None:
    outside.drop(f"data/{MODEL}/1.csv", b"p0,digit\n1,3\n2,4\n")


def more_rows(outside: Outside) -> None:
    outside.drop(f"data/{MODEL}/2.csv", b"p0,digit\n5,3\n6,4\n")


def corrected_rows(outside: Outside) -> None:
    outside.drop(f"data/{MODEL}/3.csv", b"p0,digit\n7,3\n8,4\n")


def unreadable_rows(outside: Outside) -> None:
    outside.drop(f"data/{MODEL}/4.csv", b"p0,digit\nnot a number,3\n")


def file_to_score(outside: Outside) -> None:
    outside.drop(f"score/{MODEL}/ask.csv", b"p0\n1\nnot a number\n")


def stray(outside: Outside) -> None:
    outside.stray_job(RunId(f"{MODEL}-000001"))


def promoted() -> Play:
    """The first model, then one that is compared with it, takes over, and stays; a stray job turns up meanwhile."""
    acts = (settings, first_rows, stray, more_rows)
    return Play(Story("promoted", acts, ("live", "live", "promoted", "promoted")), MemoryCloud(VARIABLES))


def rolled_back() -> Play:
    """From a first model on: a run whose first job fails, and whose rollout a person leaves at half of the traffic."""
    before = after(Play(Story("before", (settings, first_rows)), MemoryCloud(VARIABLES)))
    older = Version(f"projects/p/locations/l/models/{MODEL}@0", {"serin-run": f"{MODEL}-000000"})
    before.cloud.vertex._versions[MODEL].insert(0, older)  # which the end of the rollout will have deleted
    ends = ("live", "rolled back", "promoted", "rolled back")
    acts, fails = (more_rows, file_to_score), frozenset({f"{MODEL}-000002/1"})
    return before.gone_on(Story("rolled_back", acts, ends, fails, leaves_at=50))


def overtaken() -> Play:
    """From a first model on: a model that still bakes when the next one's rollout begins, which ends its own."""
    first = after(Play(Story("before", (settings_of_a_long_bake, first_rows)), MemoryCloud(VARIABLES)))
    acts, ends = (more_rows, corrected_rows), ("live", "live", "live", "promoted", "promoted", "promoted")
    return first.gone_on(Story("overtaken", acts, ends, turns=20))


def scored() -> Play:
    """From a first model on: a file is scored by a job that hangs and is cancelled after a day, another is rejected."""
    before = after(Play(Story("before", (settings, first_rows)), MemoryCloud(VARIABLES)))
    return before.gone_on(Story("scored", (file_to_score, unreadable_rows), ("live", "promoted"), hangs=True))


def failed() -> Play:
    """A first run none of whose jobs trains."""
    fails = frozenset(f"{MODEL}-000001/{attempt}" for attempt in (1, 2, 3))
    return Play(Story("failed", (settings, first_rows), ("failed",), fails), MemoryCloud(VARIABLES))


def on_cloud_run() -> Play:
    """Two models that are trained and served on Cloud Run: the first one's job fails once, the second is left again."""
    ends = ("live", "rolled back", "promoted", "rolled back")
    story = Story(
        "on_cloud_run", (settings_of_cloud_run, first_rows, more_rows), ends, frozenset({f"{MODEL}-000001/1"}), 50
    )
    return Play(story, MemoryCloud(VARIABLES))


def after(play: Play) -> Play:
    """A play at its end."""
    trouble = play.to_the_end()
    assert not trouble, trouble
    return play


STORIES = (promoted, rolled_back, scored, on_cloud_run, overtaken)
