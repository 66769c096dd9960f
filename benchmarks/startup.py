"""Start-up times: `kgpt --help`, and the workbench's first frame beside an empty Textual application's.

Each in a fresh process, alternating, median of seven. The first frame is the time from `exec` until the program has
written its first full screen to a pseudo-terminal of 120 x 40.
"""

from __future__ import annotations

import fcntl
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

EMPTY_APP = "from textual.app import App; App().run()"
FULL_SCREEN_BYTES = 2000
"""A screen of 120 x 40 takes more bytes than this; the terminal's set-up sequences take fewer."""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KGPT_SAVED_MODELS"] = os.environ["XDG_CONFIG_HOME"] = folder
        commands = {
            "kgpt --help": lambda: _whole([sys.executable, "-m", "kgpt", "--help"]),
            "kgpt-workbench --help": lambda: _whole([sys.executable, "-m", "workbench", "--help"]),
            "empty Textual app": lambda: _first_frame([sys.executable, "-c", EMPTY_APP]),
            "kgpt-workbench": lambda: _first_frame([sys.executable, "-m", "workbench"]),
        }
        times = {name: [] for name in commands}  # type: dict[str, list[float]]
        for _ in range(7):
            for name, measure in commands.items():
                times[name].append(measure())
    for name, values in times.items():
        print(f"{name:24} {statistics.median(values):.2f} s")


def _whole(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _first_frame(command: list[str]) -> float:
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
    received = 0
    while received < FULL_SCREEN_BYTES and time.perf_counter() - start < 30:
        if select.select([parent], [], [], 0.1)[0]:
            received += len(os.read(parent, 65536))
    seconds = time.perf_counter() - start
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    os.close(parent)
    os.close(child)
    return seconds
