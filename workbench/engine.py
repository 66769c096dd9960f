"""Client of the generation engine: a child process that speaks `kgpt.protocol` on stdin and stdout.

In: requests. Out: their replies, as they come. The child starts with the first request and again after a crash; its
stderr goes to a log file. TensorFlow lives over there, never here. Knows no Textual.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError, KgptFailure
from kgpt.language import _
from kgpt.protocol import MAX_LINE_BYTES, decode, encode

COMMAND = (sys.executable, "-m", "kgpt.serving.engine")
FINAL_TYPES = (
    "loaded",
    "done",
    "tokens",
    "detokenized",
    "attention",
    "ablation",
    "labels",
    "error",
)
"""Types of reply that end a request."""

TERMINATE_SECONDS = 2.0
"""How long the child may take to leave before it is killed."""

EngineState = Literal["off", "starting", "ready"]


class Engine:
    """One engine process at a time, started when it is needed.

    Example:
        engine = Engine()
        async for reply in engine.request({"type": "load", "slot": "main", "run": "demo", "checkpoint": "best"}):
            print(reply["type"])
        await engine.close()
    """

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        environment: Mapping[str, str] | None = None,
        decide: Callable[[], Awaitable[Mapping[str, str]]] | None = None,
    ) -> None:
        """`decide` is asked for the environment before each start, in place of `environment`."""
        self.command = tuple(command)
        self._decide = decide
        self.environment = environment or {}
        """What the next process gets, over this one's own environment."""
        self.state: EngineState = "off"
        self.generation = 0
        """How many processes have been started: what one has loaded, the next has not."""
        self.log_file: Path | None = None
        self._process: Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._replies: dict[str, asyncio.Queue[dict[str, Any] | KgptError]] = {}
        self._numbers = itertools.count(1)

    def new_id(self) -> str:
        """An id for the next request."""
        return f"r{next(self._numbers)}"

    async def start(self) -> None:
        """Start the process unless it runs, and wait until it is ready.

        Raises:
            KgptFailure: it cannot be started, or ends before it is ready.
        """
        if self.state == "off":
            self.state = "starting"
            self.generation += 1
            self._ready = asyncio.get_running_loop().create_future()
            try:
                if self._decide is not None:
                    self.environment = await self._decide()
                self._process = await self._spawn()
            except OSError as error:
                self.state = "off"
                self._remove_log()
                raise KgptFailure(
                    _("The engine did not start"),
                    f"{self.command[0]}: {error.strerror or error}",
                    _("Check the installation of kgpt."),
                ) from None
            except asyncio.CancelledError:
                self.state = "off"
                raise
            self._reader = asyncio.create_task(self._read(self._process))
        if self._ready:
            await asyncio.shield(self._ready)

    async def _spawn(self) -> Process:
        descriptor, name = tempfile.mkstemp(prefix="kgpt-engine-", suffix=".log")
        self._remove_log()
        self.log_file = Path(name)
        with os.fdopen(descriptor, "wb") as log:
            return await asyncio.create_subprocess_exec(
                *self.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                limit=MAX_LINE_BYTES,
                start_new_session=True,  # a Ctrl-C or a hang-up of the terminal is for the workbench
                env={
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                    **self.environment,
                },
            )

    async def request(
        self, message: Mapping[str, Any], request_id: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Send a request and yield its replies; the last is one of `FINAL_TYPES` other than `error`.

        Raises:
            KgptError: the engine answered with an error.
            KgptFailure: the engine stopped, or cannot be started.
        """
        await self.start()
        request_id = request_id or self.new_id()
        queue: asyncio.Queue[dict[str, Any] | KgptError] = asyncio.Queue()
        self._replies[request_id] = queue
        try:
            await self.send({**message, "id": request_id})
            while True:
                reply = await queue.get()
                if isinstance(reply, KgptError):
                    raise reply
                yield reply
                if reply["type"] in FINAL_TYPES:
                    return
        finally:
            self._replies.pop(request_id, None)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message that expects no answer of its own, such as `cancel`; a dead engine hears nothing."""
        if self._process and self._process.stdin:
            with contextlib.suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(encode(message))
                await self._process.stdin.drain()

    async def cancel(self, request_id: str) -> None:
        """Ask the engine to end a `generate`; an engine that does not listen within a moment is stopped."""
        await self.send({"type": "cancel", "id": self.new_id(), "request": request_id})
        for _turn in range(20):
            if request_id not in self._replies:
                return
            await asyncio.sleep(TERMINATE_SECONDS / 20)
        await self.kill()

    async def kill(self) -> None:
        """End the process: asked first, then made to."""
        process, reader = self._process, self._reader
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), TERMINATE_SECONDS)
            except TimeoutError:
                process.kill()
        if reader:
            await asyncio.wait([reader])

    async def close(self) -> None:
        """End the process in an orderly way and remove its log."""
        if self._process:
            await self.send({"type": "quit", "id": self.new_id()})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), TERMINATE_SECONDS / 4)
        await self.kill()
        self._remove_log()

    def log_tail(self, lines: int = 3) -> str:
        """The last lines that the engine wrote to its log."""
        try:
            text = self.log_file.read_text(errors="replace") if self.log_file else ""
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])

    # === Reading ===

    async def _read(self, process: Process) -> None:
        """Hand every line to whom it belongs, until the process ends."""
        while process.stdout:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than any message: StreamReader has dropped it
                continue
            if not line:
                break
            with contextlib.suppress(KgptError):  # a line that is no message is noise
                self._dispatch(decode(line))
        self._ended(await process.wait())

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "ready":
            self.state = "ready"
            if self._ready and not self._ready.done():
                self._ready.set_result(None)
        queue = self._replies.get(str(message.get("id")))
        if queue is None:
            return
        queue.put_nowait(_as_error(message) if message["type"] == "error" else message)

    def _ended(self, code: int) -> None:
        self._process, self.state = None, "off"
        said = self.log_tail() or _("It said nothing.")
        failure = KgptFailure(
            _("The engine stopped"),
            _("Exit code {code}. {said}", code=code, said=said),
            _("It starts again with the next request. Its log: {log_file}", log_file=self.log_file),
        )
        if self._ready and not self._ready.done():
            self._ready.set_exception(failure)
            self._ready.exception()  # nobody may be waiting, and that is no error
        for queue in self._replies.values():
            queue.put_nowait(failure)

    def _remove_log(self) -> None:
        if self.log_file:
            self.log_file.unlink(missing_ok=True)
            self.log_file = None


def _as_error(message: Mapping[str, Any]) -> KgptError:
    title, text, hint = (str(message.get(key) or "") for key in ("title", "message", "hint"))
    return KgptError(title or _("The engine reports an error"), text, hint)
