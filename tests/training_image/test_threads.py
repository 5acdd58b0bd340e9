"""A small table is fitted with one thread: on a busy machine many threads that wait for each other take minutes."""

import subprocess
import sys

from threadpoolctl import threadpool_info

from training_image.threads import CELLS_FOR_THREADS, threads_for

JOB = """
from threadpoolctl import threadpool_info
from training_image.threads import threads_for

with threads_for(1):
    import sklearn.ensemble
    print(sorted({library["num_threads"] for library in threadpool_info()}))
"""


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


def test_a_job_that_has_loaded_nothing_yet_fits_a_small_table_with_one_thread() -> None:
    told = subprocess.run([sys.executable, "-c", JOB], capture_output=True, text=True, check=True)
    assert told.stdout == "[1]\n"


def test_a_large_table_has_all_threads_and_they_come_back_after_a_small_one() -> None:
    with threads_for(CELLS_FOR_THREADS):
        before = threads()
    with threads_for(CELLS_FOR_THREADS - 1):
        assert set(threads()) == {1}
    assert threads() == before
