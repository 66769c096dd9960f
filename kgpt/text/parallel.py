"""The same work on many tasks, in worker processes, with the results in the tasks' order.

In: how to make the work, and tasks. Out: results, one by one. Only a few tasks are under way at a time, so memory does
not grow with their number. Processes and not threads, because the work holds Python's lock.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from kgpt.errors import KgptFailure

Task = TypeVar("Task")
Result = TypeVar("Result")

LOOK_AHEAD = 2
"""Tasks handed out beyond one for each worker."""
_work: Callable[[Any], Any]


def ordered_map(
    make_work: Callable[[], Callable[[Task], Result]], tasks: Iterable[Task], workers: int
) -> Iterator[Result]:
    """Results of the tasks in order. With one worker everything happens in this process.

    Args:
        make_work: makes the function that does a task; called once in each process, so it can hold what is slow to
            load. It travels to the workers, as tasks and results do: all must be picklable.
        tasks: read no further than the workers need.
        workers: number of processes.

    Raises:
        KgptFailure: a worker process died.
    """
    if workers == 1:
        yield from map(make_work(), tasks)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start, (make_work,))
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(_do, task))
            if len(waiting) >= workers + LOOK_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise KgptFailure(
            "A worker process died",
            f"One of {workers} processes ended unexpectedly; the system may have run out of memory.",
            "Run the same command again, with fewer --workers: it goes on where it was.",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(make_work: Callable[[], Callable[[Any], Any]]) -> None:
    """Set up a worker: it leaves Ctrl-C to its parent, ends with its parent, and uses one core."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        _work = make_work()
    except Exception as error:
        # Raised here it would reach the caller as a dead worker; raised by the first task it arrives as it is.
        _work = partial(_fail, error)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _fail(error: Exception, task: Any) -> Any:
    raise error


def _do(task: Any) -> Any:
    return _work(task)
