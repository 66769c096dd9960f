"""A command of kgpt in a process of its own: what it prints for scripts, and the memory and time that it took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple


class Done(NamedTuple):
    """A command that has ended well."""

    result: dict[str, Any]
    """The object that `--json` prints."""
    peak_bytes: int
    """Most resident memory of the process, its libraries included."""
    processor_seconds: float
    """Of all its threads: on a quiet machine it takes less than this by the clock, on a busy one more."""


def kgpt(folder: Path, *arguments: str) -> Done:
    """Run `kgpt ARGUMENTS --json` with the runs in `folder`; what it prints for people goes to this stderr.

    Raises:
        SystemExit: the command failed.
    """
    command = [sys.executable, "-m", "kgpt", *arguments, "--json"]
    environment = {**os.environ, "KGPT_SAVED_MODELS": str(folder)}
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(command, stdout=printed, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"kgpt {' '.join(arguments)} failed ({process.returncode})")
        printed.seek(0)
        last = printed.read().splitlines()[-1]
    unit = 1 if sys.platform == "darwin" else 1024
    return Done(json.loads(last), usage.ru_maxrss * unit, usage.ru_utime + usage.ru_stime)
