"""Memory of `kgpt prepare` over time, for a text much larger than it.

    python -m benchmarks.prepare_memory [--gigabytes 4] [--folder DIR] [-- OPTIONS OF KGPT PREPARE]

The command runs as a child on a file made for it. Twice a second the resident memory of all its processes is added up,
in two ways: RSS, where what they share counts for each (an upper bound, pages of mapped files included), and PSS,
where it counts once. Linux only. What is compared with the goal is the highest RSS.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.long_text import documents, write_text

GOAL_GIGABYTES = 1.5
DISTINCT_BYTES = 60_000_000
"""Of text that is composed; beyond it, its documents return with other words changed."""
SECONDS = 0.5
ROWS = 12
OPTIONS = ["--documents", "blank-line", "--vocab-size", "32768"]


def main(arguments: Sequence[str] = ()) -> None:
    """Make the text, prepare it, and print how memory went."""
    args = _parser().parse_args(arguments)
    size = int(args.gigabytes * 1e9)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        if shutil.disk_usage(folder).free < 3.5 * size:
            sys.exit(f"Preparing {size:,} bytes needs {3.5 * size / 1e9:.0f} GB in --folder.")
        text = folder / "text.txt"
        written = write_text(text, list(documents(min(size, DISTINCT_BYTES))), size)
        options = args.options or OPTIONS
        command = [sys.executable, "-m", "kgpt", "prepare", str(text), "--output"]
        command += [str(folder / "corpus"), *options]
        print(f"{written / 1e9:.2f} GB of text; kgpt prepare {' '.join(options)}", flush=True)
        started = time.monotonic()
        with open(folder / "messages.txt", "wb") as messages:
            child = subprocess.Popen(command, stdout=messages, stderr=messages)
            try:
                samples = sample(child)
            finally:
                child.terminate()  # where this program is interrupted; it has ended otherwise
                child.wait()
        seconds = time.monotonic() - started
        if child.returncode:
            sys.exit((folder / "messages.txt").read_text(errors="replace")[-3000:])
    report(samples, seconds, written)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare_memory")
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    parser.add_argument("--gigabytes", type=float, default=4, help="of text (default: 4)")
    parser.add_argument("--folder", help="where temporary files go (default: the system's)")
    parser.add_argument("options", nargs="*", help=f"instead of {' '.join(OPTIONS)}")
    return parser


Sample = tuple[float, int, float, float]
"""Seconds since the start, number of processes, RSS and PSS in megabytes."""


def sample(child: subprocess.Popen[bytes]) -> list[Sample]:
    """Memory of a process and all below it, until it ends."""
    started = time.monotonic()
    samples: list[Sample] = []
    while child.poll() is None:
        processes = tree(child.pid)
        memory = [_memory(process) for process in processes]
        rss, pss = sum(each[0] for each in memory), sum(each[1] for each in memory)
        samples.append((time.monotonic() - started, len(processes), rss, pss))
        time.sleep(SECONDS)
    return samples


def tree(root: int) -> list[int]:
    """The process `root` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _memory(process: int) -> tuple[float, float]:
    """RSS and PSS in megabytes; nothing for a process that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0.0, 0.0
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kilobytes.get("Rss", 0) * 1024 / 1e6, kilobytes.get("Pss", 0) * 1024 / 1e6


def report(samples: Sequence[Sample], seconds: float, size: int) -> None:
    """Print a small series, the peak, and whether it is below the goal."""
    print(f"\n{'seconds':>8}  {'processes':>9}  {'RSS, MB':>8}  {'PSS, MB':>8}")
    for number in range(ROWS):
        part = samples[number * len(samples) // ROWS : (number + 1) * len(samples) // ROWS]
        if part:
            highest = max(part, key=lambda row: row[2])
            print(f"{highest[0]:8.0f}  {highest[1]:9}  {highest[2]:8.0f}  {highest[3]:8.0f}")
    peak, shared = (max(row[column] for row in samples) for column in (2, 3))
    state = "met" if peak < GOAL_GIGABYTES * 1000 else "MISSED"
    print(f"(each row is the highest of a {ROWS}th of the time)")
    print(f"peak RSS {peak / 1000:.2f} GB, goal below {GOAL_GIGABYTES} GB: {state}")
    print(f"peak PSS {shared / 1000:.2f} GB; {seconds:.0f} s, {size / seconds / 1e6:.1f} MB/s")


if __name__ == "__main__":
    main(sys.argv[1:])
