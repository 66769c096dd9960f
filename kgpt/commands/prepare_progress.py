"""What a person sees of `kgpt prepare` while it works.

In: lines and the `Progress` of a stage. Out: text on stderr: on a terminal one line that changes, and for each stage
that is over a line that stays; in a pipe a line now and then.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

from kgpt.commands.progress import duration
from kgpt.commands.tables import PIPE_WIDTH
from kgpt.language import _, number

if TYPE_CHECKING:
    from kgpt.text.prepare import Progress as Stage

LINE_SECONDS = 10.0
"""Seconds between lines where the output is no terminal."""
RATE_SECONDS = 30.0
"""Seconds that speed and time left are estimated from."""


def size(count: float) -> str:
    """Bytes in three or four digits: `950 bytes`, `10.7 MB`, `48.1 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 999.95 or (unit == "bytes" and count < 1000):
            return f"{number(count, '.0f' if unit == 'bytes' else '.1f')} {unit}"
        count /= 1000
    return number(count, ",.1f") + " TB"


class Speed:
    """Bytes a second of late, in the stage that is under way."""

    def __init__(self) -> None:
        self._stage = ""
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, now: Stage) -> float:
        """The speed with what `now` adds; 0 where nothing can be said yet."""
        if now.stage != self._stage:
            self._stage, self._seen = now.stage, deque([(0.0, 0)])
        self._seen.append((now.seconds, now.bytes_done))
        while len(self._seen) > 2 and self._seen[1][0] < now.seconds - RATE_SECONDS:
            self._seen.popleft()
        seconds, done = self._seen[0]
        return (now.bytes_done - done) / (now.seconds - seconds) if now.seconds > seconds else 0.0


def figures(now: Stage, speed: float, width: int = PIPE_WIDTH) -> str:
    """How far a stage is, the less important figures only where `width` has room for them."""
    of_total = _(" of {bytes_total}", bytes_total=size(now.bytes_total)) if now.bytes_total else ""
    parts = {"bytes": f"{size(now.bytes_done)}{of_total}"}
    if now.documents:
        parts["documents"] = _("{documents:,} documents", documents=now.documents)
    if now.tokens:
        parts["tokens"] = _("{tokens:,} tokens", tokens=now.tokens)
    if speed > 0:
        parts["speed"] = f"{speed / 1e6:.1f} MB/s"
        if now.bytes_total:
            left = max(0, now.bytes_total - now.bytes_done) / speed
            parts["left"] = _("{left} left", left=duration(left))
    for name in ("documents", "tokens", "speed"):
        if len("  ".join(parts.values())) > width:
            parts.pop(name, None)
    return "  ".join(parts.values())


class PrepareDisplay:
    """Shows lines and progress on stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._speed = Speed()
        self._now: Stage | None = None
        """The stage that is shown; on a pipe, only if a line of it was printed."""
        self._held: tuple[str, float] | None = None
        """A line that is shown as under way, and since when; it is printed once something follows it."""
        self._last_line = time.monotonic()
        self._bar: Progress | None = None

    def __enter__(self) -> PrepareDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end_line()
        self._end_stage()
        if self._bar:
            self._bar.stop()

    def line(self, text: str) -> None:
        """Say what happens now."""
        self._end_line()
        self._end_stage()
        if self._console.is_terminal:
            self._held = (text, time.monotonic())
            self._show(text, "", None)
        else:
            self._print(text)

    def progress(self, now: Stage) -> None:
        """Say how far it is; may be called many times a second."""
        if self._console.is_terminal:
            if self._held and self._held[0].lower().startswith(_(now.stage)):
                self._held = None  # the stage's own line shows it
            self._end_line()
            if self._now and self._now.stage != now.stage:
                self._end_stage()
            self._now = now
            name = _(now.stage).capitalize()
            room = self._console.width - len(name) - 18
            self._show(name, figures(now, self._speed(now), room), now)
            return
        speed = self._speed(now)
        if self._now and self._now.stage != now.stage:
            self._end_stage()
        if self._now:
            self._now = now
        if time.monotonic() - self._last_line >= LINE_SECONDS:
            self._print(f"{_(now.stage).capitalize()}  {figures(now, speed)}")
            self._now = now

    def _show(self, name: str, line: str, now: Stage | None) -> None:
        if self._bar is None:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None),
                TextColumn("{task.fields[line]}", markup=False),
            )
            self._bar = Progress(
                *columns,
                console=self._console,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=False,
                expand=True,
            )
            self._bar.add_task("", line="")
            self._bar.start()
        total = now.bytes_total if now else None
        done = min(now.bytes_done, total or now.bytes_done) if now else 0
        (task,) = self._bar.task_ids
        self._bar.update(task, description=name, line=line, completed=done, total=total)

    def _end_line(self) -> None:
        """Print the line that was under way, with the time it took."""
        if self._held:
            text, since = self._held
            seconds = time.monotonic() - since
            self._print(text + (f"  {duration(seconds)}" if seconds >= 1 else ""))
            self._held = None

    def _end_stage(self) -> None:
        """Print where the stage ended."""
        if self._now:
            speed = self._now.bytes_done / self._now.seconds if self._now.seconds else 0.0
            end = replace(self._now, bytes_total=None)
            name, took = _(end.stage).capitalize(), duration(end.seconds)
            self._print(f"{name}  {figures(end, speed)}  {took}")
            self._now = None

    def _print(self, text: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(Text(text, style="dim"), soft_wrap=True)
