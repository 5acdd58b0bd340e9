"""The checks of `bench.intake` as one would write them in one shot on a local file.

`python -m bench.intake_peers NAME FILE` does them.

Prints the rows, the seconds and the peak memory (MiB) as JSON; importing the library is not counted.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

TEXTS = ("city", "note")
CITIES = ("Rome", "Paris", "Oslo", "Bern", "Lima")
COLUMNS = ("id", "a", "b", "city", "c", "flag", "note", "d", "e", "label")
NUMBERS = tuple(name for name in COLUMNS if name not in TEXTS)
FILLED = ("id", "a", "label")
LOWEST, HIGHEST = 0, 100  # of column a


def of_polars(path: str) -> Callable[[], int]:
    import polars as pl

    def run() -> int:
        schema = {name: pl.String if name in TEXTS else pl.Float64 for name in COLUMNS}
        checks = [
            *(pl.col(name).is_finite().all().alias(f"finite {name}") for name in NUMBERS),
            *((pl.col(name).null_count() == 0).alias(f"filled {name}") for name in FILLED),
            pl.col("a").is_between(LOWEST, HIGHEST).all().alias("range"),
            pl.col("city").is_in(CITIES).all().alias("allowed"),
        ]
        (found,) = pl.scan_csv(path, schema=schema).select(pl.len().alias("rows"), *checks).collect(
            engine="streaming"
        ).to_dicts()  # fmt: skip
        rows = int(found.pop("rows"))
        assert all(found.values()), found
        return rows

    return run


def of_duckdb(path: str) -> Callable[[], int]:
    import duckdb

    def run() -> int:
        types = {name: "VARCHAR" if name in TEXTS else "DOUBLE" for name in COLUMNS}
        checks = [
            *(f"bool_and({name} IS NULL OR isfinite({name}))" for name in NUMBERS),
            *(f"bool_and({name} IS NOT NULL)" for name in FILLED),
            f"bool_and(a BETWEEN {LOWEST} AND {HIGHEST})",
            f"bool_and(city IN {CITIES})",
        ]
        found = duckdb.execute(
            f"SELECT count(*), {', '.join(checks)} FROM read_csv(?, header=true, columns={types}, quote='\"')", [path]
        ).fetchone()
        assert found is not None
        assert all(found[1:]), found
        return int(found[0])

    return run


def of_pyarrow(path: str) -> Callable[[], int]:
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    def run() -> int:
        types = {name: pa.string() if name in TEXTS else pa.float64() for name in COLUMNS}
        rows, cities = 0, pa.array(CITIES)
        options = csv.ConvertOptions(column_types=types)
        with csv.open_csv(path, None, csv.ParseOptions(newlines_in_values=True), options) as batches:
            for batch in batches:
                rows += batch.num_rows
                good = [
                    *(pc.all(pc.is_finite(batch.column(name))).as_py() in (True, None) for name in NUMBERS),
                    *(batch.column(name).null_count == 0 for name in FILLED),
                    pc.min(batch.column("a")).as_py() >= LOWEST,
                    pc.max(batch.column("a")).as_py() <= HIGHEST,
                    pc.all(pc.is_in(batch.column("city"), cities)).as_py(),
                ]
                assert all(good), good
        return rows

    return run


PEERS: Mapping[str, Callable[[str], Callable[[], int]]] = {
    "polars": of_polars,
    "duckdb": of_duckdb,
    "pyarrow": of_pyarrow,
}


def main() -> None:
    """Measures one of them in a process of its own."""
    run = PEERS[sys.argv[1]](sys.argv[2])
    begun, worked = time.perf_counter(), time.process_time()
    rows = run()
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - worked
    told = {"rows": rows, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": _peak_mib()}
    sys.stdout.write(json.dumps(told) + "\n")


def _peak_mib() -> float:
    """The process's own peak; what getrusage tells begins with that of the process it was forked from."""
    (line,) = [each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
