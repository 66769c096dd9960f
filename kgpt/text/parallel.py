"""The same work on many tasks, in worker processes, with the results in the tasks' order.

In: how to make the work, and tasks. Out: results, one by one. Only a few tasks are under way at a time, so memory does
not grow with their number. Processes and not threads, because the work holds Python's lock.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from kgpt.errors import KgptFailure
from kgpt.language import _

Task = TypeVar("Task")
Result = TypeVar("Result")

LOOK_AHEAD = 2
"""Tasks handed out beyond one for each worker."""


class Workers:
    """Processes that stay for several maps; with a count of one, everything happens in this process.

    Example:
        with Workers(2) as workers:
            results = list(workers.ordered_map(partial(Encoder, folder), tasks))
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def ordered_map(
        self, make_work: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Results of the tasks in order.

        Args:
            make_work: makes the function that does a task; called once in each process, so it can hold what is slow to
                load. It travels to the workers, as tasks and results do: all must be picklable.
            tasks: read no further than the workers need.

        Raises:
            KgptFailure: a worker process died.
        """
        if self.count == 1:
            yield from map(make_work(), tasks)
            return
        self._pool = self._pool or ProcessPoolExecutor(self.count, get_context("spawn"), _start)
        recipe = pickle.dumps(make_work)
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(self._pool.submit(_do, recipe, task))
                if len(waiting) >= self.count + LOOK_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise KgptFailure(
                _("A worker process died"),
                _(
                    "One of {count} processes ended unexpectedly; the system may have run out of memory.",
                    count=self.count,
                ),
                _("Run the same command again, with fewer --workers: it goes on where it was."),
            ) from None


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start() -> None:
    """Set up a worker: it leaves Ctrl-C to its parent, ends with its parent, and uses one core."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _do(recipe: bytes, task: Any) -> Any:
    return _made(recipe)(task)


@lru_cache(maxsize=1)
def _made(recipe: bytes) -> Callable[[Any], Any]:
    """The work; that of the map before is let go, with what it holds."""
    make_work: Callable[[], Callable[[Any], Any]] = pickle.loads(recipe)
    return make_work()
