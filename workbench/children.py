"""`kgpt` commands as child processes of the workbench: where the model libraries live.

In: a command's arguments. Out: the stages that it names on stderr, the object that it prints with `--json`, or its
error as a `KgptError`. Knows no Textual.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _

COMMAND = (sys.executable, "-m", "kgpt")

INTERRUPT_SECONDS = 5.0
"""How long an interrupted child may take to clean up before it is killed."""

MAX_LINE_BYTES = 1 << 22
STAGE_ENDING = " ..."
LAST_LINES = 20


class Job:
    """One call of `kgpt`, in a session of its own, so that a Ctrl-C of the terminal is for the workbench.

    Example:
        plan = await Job(["plan", "--preset", "demo"]).run()
    """

    def __init__(
        self,
        arguments: Sequence[str],
        on_stage: Callable[[str], None] = lambda stage: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.arguments = tuple(arguments)
        self.stage = ""
        self.is_cancelled = False
        self.was_killed = False
        """It did not clean up in time."""
        self._on_stage = on_stage
        self._command = tuple(command)
        self._process: Process | None = None
        self._said: list[str] = []

    async def run(self) -> dict[str, Any]:
        """Run it to its end, and return the object that it prints.

        Raises:
            KgptError: what the command says of a mistake.
            KgptFailure: it failed, was cancelled, cannot be started, or printed no object.
        """
        if self.is_cancelled:
            raise self._failure(130)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *self.arguments,
                "--json",
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                limit=MAX_LINE_BYTES,
                start_new_session=True,
            )
        except OSError as error:
            raise did_not_start(self._command, error) from None
        self._process = process
        try:
            output, _nothing = await asyncio.gather(_last_line(process), self._listen(process))
            code = await process.wait()
        except asyncio.CancelledError:
            await self.cancel()
            raise
        if code != 0:
            raise self._failure(code)
        try:
            result = json.loads(output)
        except ValueError:
            result = None
        if not isinstance(result, dict):
            raise KgptFailure(
                _("No answer"), _("kgpt {command} printed no object.", command=self.arguments[0])
            )
        return result

    async def cancel(self) -> None:
        """Interrupt it and what it has started, as Ctrl-C would; kill what does not leave."""
        self.is_cancelled = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        _signal_group(process.pid, signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), INTERRUPT_SECONDS)
        except TimeoutError:
            self.was_killed = True
            _signal_group(process.pid, signal.SIGKILL)
            await process.wait()

    async def _listen(self, process: Process) -> None:
        """Keep what it says on stderr; a line that ends in dots names a stage."""
        while process.stderr:
            try:
                line = (await process.stderr.readline()).decode(errors="replace")
            except ValueError:  # longer than any line of ours
                continue
            if not line:
                return
            self._said = [*self._said, line.rstrip()][-LAST_LINES:]
            if line.rstrip().endswith(STAGE_ENDING):
                self.stage = line.rstrip().removesuffix(STAGE_ENDING)
                self._on_stage(self.stage)

    def _failure(self, code: int) -> KgptError:
        if self.is_cancelled:
            return KgptFailure(
                _("Cancelled"), _("kgpt {command} was stopped.", command=self.arguments[0])
            )
        return error_said("\n".join(self._said), code)


async def _last_line(process: Process) -> str:
    lines = (await process.stdout.read()).decode(errors="replace").strip() if process.stdout else ""
    return lines.rpartition("\n")[2]


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def did_not_start(command: Sequence[str], error: OSError) -> KgptFailure:
    """The failure to start a child process."""
    message = f"{command[0]}: {error.strerror or error}"
    return KgptFailure(
        _("The command did not start"), message, _("Check the installation of kgpt.")
    )


def error_said(text: str, code: int) -> KgptError:
    """The error that a `kgpt` command printed (`kgpt: TITLE`, then message and hint, indented), or its last words."""
    lines = text.strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("kgpt: ")]
    kind = KgptError if code == KgptError.exit_code else KgptFailure
    if not starts:
        words = " ".join(line.strip() for line in lines[-3:])
        return KgptFailure(
            _("The command failed"),
            _("Exit code {code}. {words}", code=code, words=words or _("It said nothing.")),
        )
    title = lines[starts[-1]].removeprefix("kgpt: ")
    message, *hint = [line.strip() for line in lines[starts[-1] + 1 :]] or [""]
    return kind(title, message, " ".join(hint))
