"""How many threads a fit gets: boosting meets all its threads many thousand times, and a late one holds up the others.

On two cores with other work on them, 442 rows took 38 s with two threads and 0.5 s with one; 20,000 rows of 20 features
32 s and 2.6 s. Only large tables gain what the waiting costs.
"""

from contextlib import AbstractContextManager
from typing import Any

CELLS_FOR_THREADS = 5_000_000


def threads_for(cells: int) -> AbstractContextManager[Any]:
    """While it is entered, what is calculated has one thread if the table is not a large one."""
    import sklearn.ensemble  # noqa: F401  (what is loaded only later would not be limited)
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1 if cells < CELLS_FOR_THREADS else None)
    return limits
