from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kgpt.errors import KgptError, KgptFailure
from kgpt.text.parallel import LOOK_AHEAD, Workers


def add(amount: int) -> Callable[[int], tuple[int, int]]:
    def work(task: int) -> tuple[int, int]:
        if task == 404:
            raise KgptError("Not found", f"{task} is not there.", "Give another.")
        if task == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02 if task % 3 == 0 else 0)
        return task + amount, os.getpid()

    return work


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    with Workers(workers) as pool:
        results = list(pool.ordered_map(partial(add, 100), range(10, 40)))
        again = list(pool.ordered_map(partial(add, 200), range(10, 40)))
    assert [value for value, _ in results] == list(range(110, 140))
    assert [value for value, _ in again] == list(range(210, 240))
    processes = {process for _, process in results + again}
    assert len(processes) <= workers
    assert processes == {os.getpid()} if workers == 1 else os.getpid() not in processes


def test_only_a_few_tasks_are_taken_ahead() -> None:
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for task in range(10, 60):
            taken.append(task)
            yield task

    with Workers(2) as pool:
        next(pool.ordered_map(partial(add, 0), tasks()))
        assert len(taken) <= 2 + LOOK_AHEAD


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_arrives_as_it_was(workers: int) -> None:
    with pytest.raises(KgptError, match="404 is not there") as caught, Workers(workers) as pool:
        list(pool.ordered_map(partial(add, 0), [10, 11, 404, 12]))
    assert caught.value.hint == "Give another."


def refuse() -> Callable[[int], int]:
    raise KgptError("No", "This work cannot be made.", "")


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_making_the_work_arrives_too(workers: int) -> None:
    with pytest.raises(KgptError, match="cannot be made"), Workers(workers) as pool:
        list(pool.ordered_map(refuse, [1, 2]))


def test_a_worker_that_dies_is_a_failure_and_no_hang() -> None:
    with pytest.raises(KgptFailure, match="ended unexpectedly"), Workers(2) as pool:
        list(pool.ordered_map(partial(add, 0), [10, 9, 11]))


PARENT = """
import os, sys, time
from kgpt.text.parallel import Workers
def make():
    def work(task):
        print(os.getpid(), flush=True)
        time.sleep(60)
    return work
if __name__ == "__main__":
    list(Workers(2).ordered_map(make, range(4)))
"""


def test_workers_end_with_their_parent(tmp_path: object) -> None:
    path = os.path.join(str(tmp_path), "parent.py")
    with open(path, "w") as file:
        file.write(PARENT)
    parent = subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(is_alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(worker) for worker in workers)


def is_alive(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
