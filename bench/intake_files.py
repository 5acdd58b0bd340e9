"""The files that `bench.intake` measures with: rows of ten columns, every twentieth with a line break inside quotes."""

import random
from pathlib import Path

from bench.intake_peers import CITIES, COLUMNS

_BLOCK_ROWS = 200_000
HEADER = ",".join(COLUMNS) + "\n"


def write_csv(path: Path, size: int) -> int:
    """Writes at least so many bytes of CSV; answers the number of rows."""
    block = "".join(rows(_BLOCK_ROWS)).encode()
    with path.open("wb") as file:
        file.write(HEADER.encode())
        blocks = 0
        while file.tell() < size:
            file.write(block)
            blocks += 1
    return blocks * _BLOCK_ROWS


def rows(count: int, first: int = 0) -> list[str]:
    """Rows as they stand in a file; no two with another first are the same."""
    chance = random.Random(1)
    return [_row(number, chance) for number in range(first, first + count)]


def _row(number: int, chance: random.Random) -> str:
    note = '"he said ""hi"",\nand left"' if number % 20 == 0 else f"note {number % 97} of the day"
    some = "" if number % 50 == 0 else chance.randint(1, 99)
    return (
        f"{number},{chance.random() * 100:.4f},{chance.randint(0, 9999)},{CITIES[number % 5]},{chance.random():.6f},"
        f"{number % 2},{note},{chance.random() * 1e3:.3f},{some},{number % 10}\n"
    )
