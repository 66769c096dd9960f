"""One part of a corpus, prepared in a process of its own.

In: a `PartTask`. Out: the part in its folder, and word of it on the way. The process is a child of the one that asks,
so it can be ended at any moment, and it ends by itself when its parent is gone; the part goes on from its work folder.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.text.prepare import Progress, prepare

ATTEMPTS = 3
"""Processes that a part may lose before it is given up."""
LOOK_SECONDS = 0.5
"""Seconds between two looks at whether the part is still wanted."""
VISIBLE_SECONDS = 15.0
"""Seconds that a shared file system may take to show a new file on another machine."""


class Cancelled(Exception):
    """The call that wanted the part has ended, or another has taken its place."""


@dataclass(frozen=True)
class PartTask:
    """A part to prepare, on whatever machine."""

    sources: tuple[str, ...]
    """As the user gave them."""
    files: tuple[str, ...]
    """Absolute paths that the sources consist of."""
    working_folder: str
    """Where relative paths begin."""
    folder: Path
    """Where the part goes."""
    shard: tuple[int, int]
    options: Mapping[str, Any]
    """The other fields of `PrepareOptions`; the tokenizer is a path."""
    call_file: Path
    """Holds `call` for as long as the part is wanted."""
    call: str

    def __str__(self) -> str:
        return f"part {self.shard[0]}/{self.shard[1]}"

    def is_wanted(self) -> bool:
        """Whether the call goes on."""
        with suppress(OSError):
            return self.call_file.read_text() == self.call
        return False


def run_part(task: PartTask, on_progress: Callable[[Progress], None]) -> None:
    """Prepare a part; return when it is there. The last that `on_progress` hears is what the part holds.

    Raises:
        Cancelled: it is not wanted any more.
        KgptError: as `kgpt.text.prepare.prepare`.
        KgptFailure: as that, or this machine does not see the files, or the process died again and again.
    """
    _check_visible(task)
    codes = []
    for _turn in range(ATTEMPTS):
        code = _attempt(task, on_progress)
        if code == 0:
            return
        codes.append(str(code))
    raise KgptFailure(
        _("A part cannot be prepared"),
        _(
            "On {socket} the process for {task} ended {attempts} times before its time (exit "
            "codes {codes}); the system may have run out of memory.",
            socket=socket.gethostname(),
            task=task,
            attempts=ATTEMPTS,
            codes=", ".join(codes),
        ),
        _("Run the same command again, with fewer workers on a machine: it goes on where it was."),
    )


def _check_visible(task: PartTask) -> None:
    host, deadline = socket.gethostname(), time.monotonic() + VISIBLE_SECONDS
    while not task.call_file.is_file():
        if time.monotonic() > deadline:
            raise KgptFailure(
                _("A worker does not see the output"),
                _(
                    "{host} finds nothing at {parent}, where the parts are to be written.",
                    host=host,
                    parent=task.call_file.parent,
                ),
                _("Give an --output on a file system that all machines have at the same path."),
            )
        time.sleep(LOOK_SECONDS)
    missing = [path for path in task.files if not os.path.exists(path)]
    if missing:
        raise KgptFailure(
            _("A worker does not see the sources"),
            _(
                "{host} finds nothing at {missing}, and so for {count} of {count_2} files.",
                host=host,
                missing=missing[0],
                count=len(missing),
                count_2=len(task.files),
            ),
            _("Put them on a file system that all machines have at the same path."),
        )


def _attempt(task: PartTask, on_progress: Callable[[Progress], None]) -> int:
    """Run the process once; returns 0, or the exit code of one that died."""
    if not task.is_wanted():
        raise Cancelled(str(task))
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()"]
    folder = task.working_folder if os.path.isdir(task.working_folder) else None
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=folder)
    with suppress(BrokenPipeError), process:
        try:
            threading.Thread(target=_end_unwanted, args=(task, process), daemon=True).start()
            if _follow(task, process, on_progress):
                return 0
        finally:
            process.kill()
    if not task.is_wanted():
        raise Cancelled(str(task))
    return process.returncode or 1


def _follow(
    task: PartTask, process: subprocess.Popen[bytes], on_progress: Callable[[Progress], None]
) -> bool:
    """Take what the process says until the part is there; False where it falls silent before."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process has no pipes")
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):
        pickle.dump(task, process.stdin)
        process.stdin.flush()
        while True:
            said = pickle.load(process.stdout)
            if isinstance(said, Progress):
                on_progress(said)
            elif isinstance(said, Exception):
                raise said
            else:
                return True
    return False


def _end_unwanted(task: PartTask, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        if not task.is_wanted():
            process.kill()
        time.sleep(LOOK_SECONDS)


# === In the process ===


def main() -> None:
    """Do the task that comes in on stdin; say on stdout how it goes, in pickles."""
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)  # what libraries print must not come between the pickles
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who waits for the part
        task: PartTask = pickle.load(sys.stdin.buffer)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        said_at = 0.0

        def tell(progress: Progress) -> None:
            nonlocal said_at
            if time.monotonic() - said_at > LOOK_SECONDS:
                said_at = time.monotonic()
                pickle.dump(progress, output)
                output.flush()

        said: KgptError | None = None
        try:
            pickle.dump(_prepare(task, tell), output)
        except KgptError as error:
            said = error
        except Exception as error:
            traceback.print_exc()
            said = KgptFailure(_("A part failed"), f"{task}: {type(error).__name__}: {error}")
        pickle.dump(said, output)


def _prepare(task: PartTask, tell: Callable[[Progress], None]) -> Progress:
    task.folder.parent.mkdir(parents=True, exist_ok=True)
    # A process for an earlier call, or of a worker that was given up, may be about to end: wait for that.
    with open(task.folder.with_name(f".{task.folder.name}.turn"), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        made = prepare(task.sources, task.folder, shard=task.shard, progress=tell, **task.options)
    size, tokens = (
        made.train_bytes + made.validation_bytes,
        made.train_tokens + made.validation_tokens,
    )
    return Progress("writing tokens", size, size, made.documents, tokens, 0.0)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)
