"""Starts, stops and resumes training runs; a run that it has started outlives the workbench.

In: the folder of the runs, the options of `kgpt-train`. Out: a detached process in a session of its own. It is found
again by the process number in the run's `status.json`, and trusted only while the run's lock is held. Knows no Textual.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kgpt.errors import KgptError
from kgpt.files import disk_failure
from kgpt.language import _
from kgpt.runs import LIVE_STATES, RunFolder, find_run, is_owned, new_run, saved_models_folder
from workbench.children import COMMAND, did_not_start, error_said

OUTPUT_BYTES = 20_000
"""How much of a trainer's last words is read."""

Ending = Literal["asked", "killed"]


@dataclass
class Started:
    """A trainer that this workbench has started."""

    name: str
    process: subprocess.Popen[bytes]
    has_begun: bool = False
    """Its run folder is there, and says that the process owns it."""


class Launcher:
    """The trainers of one folder of runs."""

    def __init__(self, root: Path, command: Sequence[str] = COMMAND) -> None:
        self.root = root
        self._command = tuple(command)
        self._started: list[Started] = []
        self._asked: set[tuple[str, int]] = set()

    # === Starting ===

    def start(self, name: str, options: Sequence[str]) -> None:
        """Train a new run with these options of `kgpt-train` (besides `--run`).

        Raises:
            KgptError: there is a run of that name, or it cannot be one.
            KgptFailure: the process cannot be started, or the folder not be written.
        """
        new_run(name, self.root)
        self._refuse_twice(name)
        self._spawn(name, [*options, "--run", name])

    def resume(self, name: str) -> None:
        """Go on with a run that has stopped.

        Raises:
            KgptError: there is no such run, or a trainer is at work on it.
            KgptFailure: the process cannot be started.
        """
        folder = find_run(name, self.root)
        self._refuse_twice(name)
        if is_owned(folder):
            raise KgptError(
                _("The run is at work"),
                _(
                    "A trainer owns {path} (process {pid}).",
                    path=folder.path,
                    pid=folder.status().get("pid"),
                ),
                _("Stop it first, or watch it."),
            )
        self._spawn(name, ["--run", name, "--resume"])

    def _refuse_twice(self, name: str) -> None:
        if name in self.starting:
            raise KgptError(
                _("Already starting"), _("The trainer of {name} is on its way.", name=name), ""
            )

    def _spawn(self, name: str, options: Sequence[str]) -> None:
        command = [*self._command, "train", *options, "--saved-models", str(self.root)]
        output = output_file(self.root, name)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = open(output, "wb")
        except OSError as error:
            raise disk_failure(error, output) from error
        with file:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
            except OSError as error:
                output.unlink()
                raise did_not_start(self._command, error) from None
        self._started.append(Started(name, process))

    # === What has become of them ===

    @property
    def starting(self) -> tuple[str, ...]:
        """Names of the runs whose trainer is on its way and does not own them yet."""
        return tuple(item.name for item in self._started if not item.has_begun)

    def poll(self) -> list[tuple[str, KgptError]]:
        """Notice who has begun and who has ended; the runs whose trainer left before it began, and why."""
        failures = []
        for item in list(self._started):
            code = item.process.poll()
            status = RunFolder(self.root / item.name).status()
            item.has_begun |= status.get("pid") == item.process.pid
            if code is None:
                continue
            self._started.remove(item)
            output = output_file(self.root, item.name)
            if not item.has_begun and code > 0:
                failures.append((item.name, error_said(_end_of(output), code)))
            elif not item.has_begun and code == 0:
                words = " ".join(_end_of(output).split())
                failures.append((item.name, KgptError(_("Nothing left to train"), words)))
            if not item.has_begun or code in (0, 130):
                output.unlink(missing_ok=True)
        return failures

    # === Stopping ===

    def ending_of(self, folder: RunFolder) -> Ending:
        """What the next `stop` does: ask, or (once it has been asked) kill."""
        status = folder.status()
        was_asked = (folder.name, status.get("pid")) in self._asked
        return "killed" if was_asked or status["state"] == "stopping" else "asked"

    def check_trainer(self, folder: RunFolder) -> None:
        """Raise the `KgptError` with which `stop` would refuse."""
        if not self._on_its_way(folder):
            trainer_of(folder)

    def _on_its_way(self, folder: RunFolder) -> Started | None:
        return next(
            (item for item in self._started if item.name == folder.name and not item.has_begun),
            None,
        )

    def stop(self, folder: RunFolder) -> Ending:
        """Ask the trainer to save and end; when it has been asked already, kill it.

        Raises:
            KgptError: nobody trains the run, or not on this machine, or its process is not the one it names.
        """
        on_its_way = self._on_its_way(folder)
        if on_its_way:
            on_its_way.process.terminate()
            return "asked"
        pid, ending = trainer_of(folder), self.ending_of(folder)
        self._asked.add((folder.name, pid))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL if ending == "killed" else signal.SIGTERM)
        return ending


def trainer_of(folder: RunFolder) -> int:
    """The process that trains a run.

    Raises:
        KgptError: there is none, it is on another machine, or the number in `status.json` is somebody else's.
    """
    status = folder.status()
    pid, host = status.get("pid"), status.get("host")
    if status["state"] not in LIVE_STATES:
        message = _("Nobody trains {name}: it is {state}.", name=folder.name, state=status["state"])
        raise KgptError(_("Nothing to stop"), message, "")
    if host != socket.gethostname():
        message = _(
            "{name} is trained on {host}, by process {pid}.", name=folder.name, host=host, pid=pid
        )
        raise KgptError(_("On another machine"), message, _("Stop it there."))
    if not isinstance(pid, int) or pid == os.getpid() or not is_owned(folder):
        message = _(
            "No process holds {path}; number {pid} is not a trainer of this run.",
            path=folder.path,
            pid=pid,
        )
        raise KgptError(_("Not the run's process"), message, _("Nothing was stopped."))
    return pid


def output_file(root: Path, name: str) -> Path:
    """What a trainer started here prints: beside the run, which is not there yet when it begins."""
    return root / f".{name}.output.txt"


def last_words(root: Path, name: str, lines: int = 20) -> list[str]:
    """The last lines that a trainer started here has printed; none where it ended well."""
    return [line for line in _end_of(output_file(root, name)).splitlines() if line.strip()][-lines:]


def _end_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - OUTPUT_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def shell_line(root: Path, options: Sequence[str]) -> str:
    """What to type in a shell of this folder for the same training."""
    elsewhere = saved_models_folder() != root
    return shlex.join(
        ["kgpt-train", *options, *(["--saved-models", str(root)] if elsewhere else [])]
    )
