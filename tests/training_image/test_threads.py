"""A small table is fitted with one thread: on a busy machine many threads that wait for each other take minutes."""

import sklearn.ensemble  # noqa: F401  (its library of threads has to be loaded to be limited)
from threadpoolctl import threadpool_info

from training_image.threads import CELLS_FOR_THREADS, threads_for


def threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info()]


def test_a_small_table_has_one_thread_while_it_is_fitted() -> None:
    before = threads()
    with threads_for(CELLS_FOR_THREADS - 1):
        assert set(threads()) == {1}
    assert threads() == before


def test_a_large_table_has_all_threads() -> None:
    before = threads()
    with threads_for(CELLS_FOR_THREADS):
        assert threads() == before
