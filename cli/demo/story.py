"""How the demo's data is cut: seven acts from the handwritten digits that scikit-learn brings along.

The rows of the first two acts hold no nines: their model is good at what it was shown and cannot know the tenth digit.
That is what makes the second model better for a reason, not by luck. Everything else is a fair shuffle.

    1,797 digits, shuffled by the seed
    ├──    60: act 1   (no nines, below the threshold)
    ├──   180: act 2   (no nines)
    ├──   200: act 3
    ├──    50: act 6   (labels shuffled)
    ├── 1,000: act 7   (0↔6 and 4↔7 exchanged; more than all before together)
    └──   307: traffic (in no file, with true labels)
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

TARGET = "digit"
PIXELS = 64
HEADER = (*(f"p{pixel}" for pixel in range(PIXELS)), TARGET)
THRESHOLD_ROWS = 100
"""Rows a window needs before it trains, as in the demo's settings."""

ACT_1_ROWS = 60
ACT_2_ROWS = 180
ACT_3_ROWS = 200
ACT_5_ROWS = 12
ACT_6_ROWS = 50
ACT_7_ROWS = 1_000
LATE = "9"
"""The digit that nobody sends before act 3."""
EXCHANGED = {"0": "6", "6": "0", "4": "7", "7": "4"}
"""A mistake in labelling that no check of single rows can see: every row is a good row."""

Row = tuple[str, ...]


@dataclass(frozen=True)
class File:
    """A file to drop; `rows` counts its records without the header."""

    name: str
    content: bytes
    rows: int


@dataclass(frozen=True)
class Act:
    """One act: what is dropped and how it must end, in words that the demo compares with what happened."""

    number: int
    title: str
    files: tuple[File, ...]
    expected: str


@dataclass(frozen=True)
class Traffic:
    """A row that clients ask about, and what it really is."""

    features: dict[str, float]
    label: str


@dataclass(frozen=True)
class Story:
    """The seven acts of one seed and the rows that are in none of their files."""

    acts: tuple[Act, ...]
    traffic: tuple[Traffic, ...]

    def act(self, number: int) -> Act:
        return self.acts[number - 1]


def cut(seed: int) -> Story:
    """The story of a seed: the same seed gives the same bytes."""
    chance = random.Random(seed)
    digits = list(_digits())
    chance.shuffle(digits)
    early = [row for row in digits if row[-1] != LATE][: ACT_1_ROWS + ACT_2_ROWS]
    taken = set(early)
    others = [row for row in digits if row not in taken]
    first, second = _split(early, ACT_1_ROWS)
    third, later = _split(others, ACT_3_ROWS)
    sixth, later = _split(later, ACT_6_ROWS)
    seventh, traffic = _split(later, ACT_7_ROWS)
    acts = (
        Act(1, "a few rows", (_file("act1-few-rows.csv", first),), "counted: too few rows to train"),
        Act(2, "enough rows", (_file("act2-enough-rows.csv", second),), "first model live at 100 %"),
        Act(3, "many more rows", (_file("act3-many-more-rows.csv", third),), "canary, then 100 %"),
        Act(4, "a person rolls back", (), "previous model back at 100 %"),
        Act(5, "an unreadable file", (_unreadable("act5-unreadable.csv", third),), "rejected with every reason"),
        Act(6, "shuffled labels", (_file("act6-shuffled.csv", _mislabelled(sixth, chance)),), "trained, then rejected"),
        Act(7, "exchanged labels", (_file("act7-exchanged.csv", _exchanged(seventh)),), "canary, then rolled back"),
    )
    return Story(acts=acts, traffic=tuple(_traffic(row) for row in traffic))


@cache
def _digits() -> tuple[Row, ...]:
    """The digits as cells: 64 pixels from 0 to 16, then the digit. No two are the same."""
    from sklearn.datasets import load_digits

    bundled = load_digits()
    cells = zip(bundled.data.astype(int).tolist(), bundled.target.tolist(), strict=True)
    return tuple((*map(str, pixels), str(digit)) for pixels, digit in cells)


def _split(rows: list[Row], count: int) -> tuple[list[Row], list[Row]]:
    return rows[:count], rows[count:]


def _file(name: str, rows: Sequence[Row], header: Row = HEADER) -> File:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return File(name=name, content=text.getvalue().encode(), rows=len(rows))


def _unreadable(name: str, rows: Sequence[Row]) -> File:
    """A file without its column p13, with a row cut short, a word among the numbers and a row without a label."""
    missing = HEADER.index("p13")
    kept = [[*row[:missing], *row[missing + 1 :]] for row in rows[:ACT_5_ROWS]]
    kept[2] = kept[2][:40]
    kept[5][20] = "smudge"
    kept[8][-1] = ""
    return _file(name, [tuple(row) for row in kept], (*HEADER[:missing], *HEADER[missing + 1 :]))


def _mislabelled(rows: Sequence[Row], chance: random.Random) -> list[Row]:
    """The rows with their labels shuffled among them so that no row keeps its own."""
    labels = [row[-1] for row in rows]
    chance.shuffle(labels)
    for place, row in enumerate(rows):
        while labels[place] == row[-1]:
            other = chance.randrange(len(rows))
            if labels[other] != row[-1] and labels[place] != rows[other][-1]:
                labels[place], labels[other] = labels[other], labels[place]
    return [(*row[:-1], label) for row, label in zip(rows, labels, strict=True)]


def _exchanged(rows: Sequence[Row]) -> list[Row]:
    return [(*row[:-1], EXCHANGED.get(row[-1], row[-1])) for row in rows]


def _traffic(row: Row) -> Traffic:
    return Traffic(features=dict(zip(HEADER[:-1], map(float, row[:-1]), strict=True)), label=row[-1])
