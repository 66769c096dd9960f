"""The workbench with long runs: memory while rows stream in, and how soon a key shows.

    python -m benchmarks.workbench_soak                 both, with 10,000,000 rows and four runs of a million
    python -m benchmarks.workbench_soak soak 1000000    rows streamed into one run that is watched
    python -m benchmarks.workbench_soak keys 1000000    keys on the Watch screen, four runs of so many rows drawn

The soak is a day of a trainer that logs a hundred rows a second, in minutes: a child process runs the application
without a terminal and watches a run, while this one writes its metrics. Resident memory is read once the first 100,000
rows are drawn, and at the end. Goal: it grows by less than 50 MB. A key's time is from its arrival until every widget
has handled what came of it, the test driver's own waiting included. Goal: under 50 ms. The same driver presses keys in
an application of one line of text, before and after: what it takes there is the driver's and the machine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROWS = 10_000_000
KEY_ROWS = 1_000_000
FIRST_ROWS = 100_000
BLOCK = 50_000
KEYS = (
    "s",
    "S",
    "x",
    "x",
    "x",
    "Y",
    "Y",
    "plus",
    "left",
    "right",
    "0",
    "h",
    "h",
    "l",
    "escape",
    "v",
    "a",
    "z",
    "z",
)
REPEATS = 3


def main() -> None:
    """Measure and print."""
    given = sys.argv[1:] if sys.argv[1:2] in (["soak"], ["keys"]) else []
    count = int(given[1]) if len(given) > 1 else 0
    if not given or given[0] == "soak":
        soak(count or ROWS)
    if not given or given[0] == "keys":
        _child("keys", count or KEY_ROWS)


# === Memory ===


def soak(rows: int) -> None:
    """Stream rows into a run that a child process watches, and say how its memory grows."""
    with tempfile.TemporaryDirectory() as folder:
        run = _make_run(Path(folder) / "saved_models" / "long")
        command = [sys.executable, "-m", "benchmarks.workbench_soak", "watch", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            started = time.perf_counter()
            _append(run, 0, FIRST_ROWS)
            before = _memory_after(child, FIRST_ROWS)
            for start in range(FIRST_ROWS, rows, BLOCK):
                _append(run, start, min(rows, start + BLOCK))
                if start % (20 * BLOCK) == 0:
                    _memory_after(child, start + BLOCK)
            after = _memory_after(child, rows)
            seconds = time.perf_counter() - started
            child.communicate("")
    print(f"{rows:,} rows in {seconds:.0f} s ({rows / seconds:,.0f} a second, written and drawn)")
    print(
        f"resident memory: {before / 1e6:.1f} MB after {FIRST_ROWS:,} rows, {after / 1e6:.1f} MB at the end"
    )
    print(f"growth: {(after - before) / 1e6:.1f} MB (goal: under 50)")


def _memory_after(child: subprocess.Popen[str], rows: int) -> int:
    """Resident bytes of the child once it has drawn so many rows."""
    if child.stdin is None or child.stdout is None:
        raise RuntimeError("the child has no pipes")
    child.stdin.write(f"{rows}\n")
    child.stdin.flush()
    return int(child.stdout.readline())


async def watch(folder: Path) -> None:
    """The child: watches the run, and answers each number of rows with its resident memory once they are drawn."""
    from workbench.app import WorkbenchApp

    app = WorkbenchApp(folder / "saved_models", run_name="long")
    async with app.run_test(size=(200, 60)) as pilot:
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = int(line)
            while _drawn_rows(app) < wanted:
                await pilot.pause(0.1)
            print(_resident_bytes(), flush=True)


def _drawn_rows(app: Any) -> int:
    data, run = app.follower.data, app.catalog.get("long")
    is_drawn = data is not None and data.last_x is not None and run is not None
    return min(int(data.last_x), int(run.step or 0)) if is_drawn else 0


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# === Keys ===


async def keys(folder: Path, rows: int) -> None:
    """The child: four runs over each other, and the time from each key to the last widget drawn again."""
    from workbench.app import WorkbenchApp

    names = ["one", "two", "three", "four"]
    for name in names:
        _append(_make_run(folder / "saved_models" / name), 0, rows)
    empty = await _empty_times()
    app = WorkbenchApp(folder / "saved_models", run_name="one")
    app.comparison.overlaid = names[1:]
    async with app.run_test(size=(200, 60)) as pilot:
        while not (app.follower.data and len(app.crowd.data) == 3 and _all_read(app)):
            await pilot.pause(0.2)
        await pilot.pause(3)
        times: dict[str, list[tuple[float, float]]] = {}
        for _ in range(REPEATS):
            for key in KEYS:
                times.setdefault(key, []).append(await _key_to_frame(pilot, key))
                await pilot.pause(0.7)
    empty += await _empty_times()
    for key, values in times.items():
        print(
            f"  {key:8} {_median(values, 0):6.1f} ms {_median(values, 1):6.1f} ms of processor time"
        )
    both = [value for values in times.values() for value in values]
    every = sorted(seconds for seconds, _ in both)
    print(
        f"four runs of {rows:,} rows, 200 x 60: median {1000 * statistics.median(every):.1f} ms, 95 %"
        f" {1000 * every[int(0.95 * len(every))]:.1f} ms, slowest {1000 * every[-1]:.1f} ms (goal: under 50)"
    )
    print(
        f"an application of one line: median {_median(empty, 0):.1f} ms;"
        f" ratio {_median(both, 0) / _median(empty, 0):.2f}"
    )
    print(
        f"processor time of the thread that draws: median {_median(both, 1):.1f} ms,"
        f" in an application of one line {_median(empty, 1):.1f} ms"
    )


def _median(values: list[tuple[float, float]], place: int) -> float:
    return 1000 * statistics.median(value[place] for value in values)


async def _empty_times() -> list[tuple[float, float]]:
    """The times from a key to the frame in an application that writes how many there were."""
    from textual.app import App
    from textual.widgets import Static

    class Empty(App[None]):
        count = 0

        def compose(self) -> Any:
            yield Static()

        def on_key(self) -> None:
            self.count += 1
            self.query_one(Static).update(str(self.count))

    times = []
    async with Empty().run_test(size=(200, 60)) as pilot:
        await pilot.pause(1)
        for _ in range(REPEATS * len(KEYS) // 2):
            times.append(await _key_to_frame(pilot, "s"))
            await pilot.pause(0.1)
    return times


def _all_read(app: Any) -> bool:
    followers = [app.follower, *app.crowd.followers.values()]
    return app.catalog.is_complete and not any(follower.is_reading for follower in followers)


async def _key_to_frame(pilot: Any, key: str) -> tuple[float, float]:
    """Seconds until a key has been handled by every widget that hears it, and this thread's processor time till then.

    An upper bound, for the test driver waits.
    """
    start, start_of_thread = time.perf_counter(), time.thread_time()
    await pilot.press(key)
    return time.perf_counter() - start, time.thread_time() - start_of_thread


# === Runs ===


def _make_run(path: Path) -> Path:
    path.mkdir(parents=True)
    configuration = {"data": "none", "steps": ROWS}
    values = {"format_version": 1, "task": "pretraining", "configuration": configuration}
    (path / "run.json").write_text(json.dumps({**values, "created": "2026-01-01T00:00:00"}))
    return path


def _append(run: Path, first: int, last: int) -> None:
    """Rows as the trainer writes them, steps `first + 1` to `last`."""
    with open(run / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.writelines(
            f'{{"step": {step}, "tokens": {2048 * step}, "seconds": {step * 0.01:.3f}, "train_loss":'
            f' {2 + 6 / (1 + step / 1e5) + 0.1 * ((step * 7919) % 97) / 97:.6f}, "learning_rate": 0.001,'
            f' "gradient_norm": {0.4 + (step % 13) / 50:.4f}, "tokens_per_second": 18000.0, "mfu": 0.31}}\n'
            for step in range(first + 1, last + 1)
        )


def _child(what: str, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "benchmarks.workbench_soak",
            what + "-child",
            folder,
            str(rows),
        ]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["watch"]:
        asyncio.run(watch(Path(sys.argv[2])))
    elif sys.argv[1:2] == ["keys-child"]:
        asyncio.run(keys(Path(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
