"""Keeps the start-up chatter of native libraries away from the user's terminal.

TensorFlow's C++ parts write notes to file descriptor 2 before any logging level is heard. Inside `filtered`, what they
write goes through a pipe; lines that look like such notes are dropped, everything else reaches the real stderr.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

NOTE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|[IWE]0000 \d\d:\d\d"
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |To enable the following instructions"
    rb"|(INFO|WARNING): (\[[a-z_]+\.cc:\d+\]|Created TensorFlow Lite)"
    rb"|\xe2\x94\x94 Could not load shared library"  # a plugin for hardware that is not there
)


@contextmanager
def filtered() -> Iterator[None]:
    """Filter file descriptor 2 inside the block; a `sys.stderr` that writes there goes straight to the real one."""
    real = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    python_stderr = sys.stderr
    if _writes_to(python_stderr, 2):
        sys.stderr = open(real, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
    pump = threading.Thread(target=_pump, args=(reading, real), daemon=True)
    pump.start()
    try:
        yield
    finally:
        with suppress(OSError, ValueError):  # whoever read it has left
            sys.stderr.flush()
        sys.stderr = python_stderr
        if (
            "ai_edge_litert" in sys.modules
        ):  # LiteRT takes leave of every accelerator, after Python's end
            atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(real, 2)  # closes the pipe's last writing end, so the pump sees its end
        pump.join(timeout=1)


def _writes_to(stream: TextIO, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor
    except (OSError, ValueError):
        return False


def _pump(reading: int, real: int) -> None:
    with open(reading, "rb") as lines:
        for line in lines:
            if not NOTE.match(line):
                with suppress(OSError):  # nobody reads any more; who writes must not have to wait
                    os.write(real, line)
