"""A run that went wrong, once more: what an exploration prints is one line of a test.

    assert replay("launch_training", [0, 2, 1], crashes=1, switches=1) == ""
    assert replay("promoted", [*[0] * 412, 3]) == ""

The first is a situation of two deliveries, the second a whole run; the numbers are which branch was taken where.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from shared.wiring import FUNCTIONS
from tests.faults import situations
from tests.faults.choices import Explored, written
from tests.faults.exploration import Case, explored, replayed
from tests.faults.faulting import silent
from tests.faults.scheduler import Budget
from tests.faults.stories import STORIES
from tests.faults.windows import uploads_and_closers

ETAGS_IGNORED = ", etags ignored"
BESIDE: tuple[Callable[[], Case], ...] = (
    situations.shift_and_rollback, situations.two_rollbacks, situations.deployment_and_rollback,
    situations.promotion_and_rollback, situations.shift_and_rollback_on_cloud_run,
)  # fmt: skip
OTHERS: Mapping[str, Callable[[], Case]] = {
    **{each.__name__: each for each in (*BESIDE, situations.same_content_twice, situations.launch_and_tick)},
    **{
        f"windows, {uploads} uploads, {closers} closers": lambda uploads=uploads, closers=closers: uploads_and_closers(
            uploads, closers
        )
        for uploads, closers in ((1, 2), (2, 1), (3, 2))
    },
}


def situation(name: str, copies: int | None = None) -> Case:
    """The situation of this name: a function's, two of them beside each other, or the window protocol's."""
    known, ignored = name.removesuffix(ETAGS_IGNORED), name.endswith(ETAGS_IGNORED)
    case = situations.of_function(known) if known in FUNCTIONS else OTHERS[known]()
    case.cloud.vertex.honours_etags = case.cloud.services.honours_etags = not ignored
    return case if copies is None else replace(case, copies=copies)


@dataclass(frozen=True)
class Exploration:
    """Every order and fault of a situation within a budget; `copies` is how often each message comes."""

    name: str
    budget: Budget
    copies: int | None = None

    def explore(self, most_runs: int) -> Explored:
        return explored(situation(self.name, self.copies), self.budget, most_runs)

    def wrong(self, found: Explored) -> list[str]:
        """What went wrong, each with the line that plays it again."""
        return [f"{told}\n{self.line(choices)}" for choices, told in found.failures]

    def line(self, choices: Sequence[int]) -> str:
        usual = asdict(Budget())
        given = {name: value for name, value in asdict(self.budget).items() if value != usual[name]}
        given |= {} if self.copies is None else {"copies": self.copies}
        told = "".join(f", {name}={value}" for name, value in given.items())
        return f'assert replay("{self.name}", {written(dict(enumerate(choices)))}{told}) == ""'


def replay(name: str, choices: Sequence[int], copies: int | None = None, **budget: int) -> str:
    """One run again, of a situation or of a story, by its choices; answers what goes wrong in it."""
    story = next((each for each in STORIES if each.__name__ == name), None)
    if story is None:
        return replayed(situation(name, copies), Budget(**budget), choices)
    with silent():
        play = story()
        play.choices = dict(enumerate(choices))
        return play.to_the_end()
