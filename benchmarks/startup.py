"""Start-up times: `kgpt --help`, and the workbench's first frame beside an empty Textual application's.

Each in a fresh process, alternating, median of eleven after one that does not count, with compiled modules, as they are
once installed. The first frame is the time from `exec` until the program has written its first full screen to a
pseudo-terminal of 120 x 40; `with the runs`, until the name of a run has come.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

EMPTY_APP = "from textual.app import App; App().run()"
RUN = "benchmarked"
TURNS = 11
FULL_SCREEN_BYTES = 2000
"""A screen of 120 x 40 takes more bytes than this; the terminal's set-up sequences take fewer."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KGPT_SAVED_MODELS"] = os.environ["XDG_CONFIG_HOME"] = folder
        os.environ["XDG_STATE_HOME"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _make_run(Path(folder) / RUN)
        commands = {
            "kgpt --help": lambda: _whole([sys.executable, "-m", "kgpt", "--help"]),
            "kgpt-workbench --help": lambda: _whole([sys.executable, "-m", "workbench", "--help"]),
            "empty Textual app": lambda: _first_frame([sys.executable, "-c", EMPTY_APP]),
            "kgpt-workbench": lambda: _first_frame([sys.executable, "-m", "workbench"]),
            "  with the runs": lambda: _first_frame(
                [sys.executable, "-m", "workbench"], RUN.encode()
            ),
        }
        times = {name: [] for name in commands}  # type: dict[str, list[float]]
        for turn in range(1 + TURNS):
            for name, measure in commands.items():
                seconds = measure()
                if turn:
                    times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:24} {seconds:.2f} s   (fastest {min(times[name]):.2f} s)")
    ratio = medians["kgpt-workbench"] / medians["empty Textual app"]
    print(f"first frame: {ratio:.2f} x an empty Textual application's (goal: 1.25)")


def _make_run(path: Path) -> None:
    path.mkdir()
    values = {"format_version": 1, "task": "pretraining", "configuration": {"steps": 10}}
    (path / "run.json").write_text(json.dumps({**values, "created": "2026-01-01T00:00:00"}))


def _whole(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _first_frame(command: list[str], text: bytes = b"") -> float:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color"},
    )
    received = b""
    while len(received) < FULL_SCREEN_BYTES or text not in received:
        if time.perf_counter() - start > 30:
            raise RuntimeError(f"no frame after 30 s: {received[-500:]!r}")
        if select.select([parent], [], [], 0.1)[0]:
            received += os.read(parent, 65536)
    seconds = time.perf_counter() - start
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(parent)
    os.close(child)
    return seconds
