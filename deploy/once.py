"""An answer that several may ask for at the same time, and that is asked for once."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """Remembers what each key was answered; whoever comes meanwhile waits. An error is everybody's, and forgotten."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: dict[K, Future[V]] = {}

    def __call__(self, key: K, ask: Callable[[], V]) -> V:
        with self._lock:
            first = key not in self._answers
            answer = self._answers.setdefault(key, Future())
        if first:
            try:
                answer.set_result(ask())
            except BaseException as error:
                with self._lock:
                    del self._answers[key]
                answer.set_exception(error)
        return answer.result()
