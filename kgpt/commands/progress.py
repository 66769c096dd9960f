"""What a person sees of a training run in the terminal: a live line, the evaluations, the loss curve at the end.

In: rows of `metrics.jsonl` as they are written. Out: text on stderr (the curve as a string).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kgpt.config import UNLIMITED_STEPS

LINE_SECONDS = 10.0
"""Seconds between lines where the output is no terminal."""


def duration(seconds: float) -> str:
    """`75` as `1:15`, `4000` as `1:06:40`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Console(Console):
    """A console whose reader may leave: rich would end the process, and the training with it."""

    def on_broken_pipe(self) -> None:
        """Let whoever prints decide."""
        raise BrokenPipeError


class TrainingDisplay:
    """A `Reporter` for the terminal; on a pipe it prints a plain line now and then."""

    def __init__(self) -> None:
        self._console = _Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("[bold]step {task.fields[place]}[/]"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[line]}"),
            console=self._console,
            refresh_per_second=4,
        )
        self._task: Any = None
        self._validation: float | None = None
        self._first: tuple[float, int] | None = None
        self._last_step = 0
        self._last_line = 0.0

    def __enter__(self) -> TrainingDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._progress.stop()

    def message(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._console.print(text, style="dim", markup=False, soft_wrap=True)

    def row(self, row: dict[str, Any], steps: int) -> None:
        """Show a new row of the metrics."""
        if row["step"] < self._last_step:  # the next trial of a sweep, or back to a checkpoint
            self._validation = self._first = None
        self._last_step = row["step"]
        if "validation_loss" in row:
            self._validation = row["validation_loss"]
            best = "  [green]best so far[/]" if row.get("is_best") else ""
            self._console.print(
                f"step {row['step']:,}  validation loss [bold]{row['validation_loss']:.4f}[/]"
                f"  {_measure_of(row)}{best}"
            )
            return
        self._show(row, steps, self._describe(row, steps))

    def _describe(self, row: dict[str, Any], steps: int) -> str:
        now = time.perf_counter()
        if self._first is None:
            self._first = (now, row["step"])
        parts = [f"loss {row['train_loss']:.3f}"]
        if self._validation is not None:
            parts.append(f"validation {self._validation:.3f}")
        if row.get("tokens_per_second"):
            used = f" (MFU {row['mfu']:.0%})" if row.get("mfu") else ""
            parts.append(f"{row['tokens_per_second']:,.0f} tokens/s{used}")
        done = row["step"] - self._first[1]
        if done and steps < UNLIMITED_STEPS:
            left = (now - self._first[0]) / done * (steps - row["step"])
            parts.append(f"{duration(left)} left")
        return "  ".join(parts)

    def _show(self, row: dict[str, Any], steps: int, line: str) -> None:
        is_open = (
            steps >= UNLIMITED_STEPS
        )  # a time budget that has not become a number of steps yet
        place = f"{row['step']:,}" + ("" if is_open else f"/{steps:,}")
        if self._console.is_terminal:
            if self._task is None:
                self._progress.start()
                self._task = self._progress.add_task("", place="", line="")
            total = None if is_open else steps
            self._progress.update(
                self._task, completed=row["step"], total=total, place=place, line=line
            )
        elif time.perf_counter() - self._last_line > LINE_SECONDS or row["step"] == steps:
            self._last_line = time.perf_counter()
            self._console.print(f"step {place}  {line}")


def _measure_of(row: dict[str, Any]) -> str:
    """Of an evaluation, what says most beside its loss."""
    if "validation_accuracy" in row:
        return f"accuracy {row['validation_accuracy']:.2%}"
    if "bits_per_byte" in row:
        return f"{row['bits_per_byte']:.3f} bits per byte"
    return f"perplexity {math.exp(min(row['validation_loss'], 700.0)):.2f}"


def loss_curve(rows: Sequence[dict[str, Any]], width: int = 56, height: int = 16) -> str:
    """The training and validation losses of a run as a plot in braille; empty where there is nothing to draw."""
    import plotille

    def points(key: str) -> list[tuple[int, float]]:
        return [
            (row["step"], row[key])
            for row in rows
            if isinstance(row.get(key), (int, float)) and math.isfinite(row[key])
        ]

    train, validation = points("train_loss"), points("validation_loss")
    if len(train) < 2:
        return ""
    figure = plotille.Figure()
    figure.width, figure.height = width, height
    figure.x_label, figure.y_label = "step", "loss"
    figure.set_x_limits(min_=0, max_=train[-1][0])
    low, high = min(y for _, y in train + validation), max(y for _, y in train + validation)
    figure.set_y_limits(min_=low, max_=high if high > low else low + 1)
    figure.x_ticks_fkt = lambda start, end: f"{start:,.0f}"
    figure.y_ticks_fkt = lambda start, end: f"{start:.2f}"
    figure.origin = False
    figure.color_mode = "names"
    figure.plot(*zip(*train, strict=True), lc="cyan", label="training")
    if len(validation) > 1:
        figure.plot(*zip(*validation, strict=True), lc="magenta", label="validation")
    return str(figure.show(legend=True))
