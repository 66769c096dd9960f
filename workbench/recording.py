"""Everything that the Watch screen shows of one run, read and computed away from the screen.

In: a run folder and a `View`. Out: `ChartData` to draw, samples, and the lines of the log. Reading and computing may
take place in a thread, one call at a time. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from kgpt.runs import RunFolder
from workbench import curves
from workbench.curves import FloatArray, XAxis
from workbench.events import Event, notes_among, said_in_log
from workbench.history import History
from workbench.housekeeping import notes_file
from workbench.tail import JsonTail, LineTail, read_between

CHUNK_BYTES = 1 << 18
LOG_LINES = 2000
LONGEST_ROW = 1 << 12
"""Bytes that the last row may have; a line that it cuts off is skipped."""


@dataclass(frozen=True)
class View:
    """How the user wants to see the curve."""

    x_axis: XAxis = "step"
    smoothing: float = 0.9
    is_log: bool = False
    left: float | None = None
    """Left edge of the window on the x axis; None for the first row."""
    right: float | None = None
    columns: int = 80
    """Width of the chart in cells."""

    @property
    def window(self) -> tuple[float, float] | None:
        """Left and right edge, where the user has chosen them."""
        return (self.left, self.right) if self.left is not None and self.right is not None else None

    def whole(self) -> View:
        """The view with everything in it."""
        return replace(self, left=None, right=None)


@dataclass(frozen=True)
class Line:
    """Points to join; NaN in y is a break. y is log10 of the value where the view is logarithmic."""

    x: FloatArray
    y: FloatArray


@dataclass(frozen=True)
class ChartData:
    """What the chart draws, and the strips below it."""

    view: View
    raw: Line
    smoothed: Line
    validation: Line
    best: tuple[float, float] | None = None
    """Where the best checkpoint lies."""
    broken: FloatArray = field(default_factory=lambda: np.empty(0))
    """Where the training loss stops being a number."""
    strips: dict[str, list[float]] = field(default_factory=dict)
    """By metric, its values along the window; and `gap`, how far validation lies above training."""
    last_x: float | None = None

    @property
    def is_empty(self) -> bool:
        """There is nothing to draw yet."""
        return not len(self.raw.x) and not len(self.validation.x)


class LogTail(NamedTuple):
    """The newest lines of a log."""

    total: int = 0
    """Lines so far, those that have been dropped included."""
    lines: tuple[str, ...] = ()


class Recording:
    """Follows the metrics, the samples and the log of one run."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = self._empty_history()
        self.samples: list[dict[str, Any]] = []
        self.log = LogTail()
        self.notes: list[Event] = []
        self.said: list[Event] = []
        """What the log tells of steps: the run went on, or back."""
        self._notes = JsonTail(notes_file(folder), CHUNK_BYTES)
        self._metrics = JsonTail(folder.metrics_file, CHUNK_BYTES)
        self._samples = JsonTail(folder.samples_file, CHUNK_BYTES)
        self._log = LineTail(folder.log_file, CHUNK_BYTES)

    def _empty_history(self) -> History:
        self._read_up_to = 0

        def read(start: int, end: int | None) -> list[dict[str, Any]]:
            return read_between(self.folder.metrics_file, start, end or self._read_up_to)

        return History(read)

    def refresh(self) -> tuple[bool, bool]:
        """Read one chunk of each file on: whether anything changed, and whether there is more at once."""
        metrics, samples, log = self._metrics.read(), self._samples.read(), self._log.read()
        notes = self._notes.read()
        self.notes = ([] if notes.restarted else self.notes) + notes_among(notes.rows)
        if metrics.restarted:
            self.history = self._empty_history()
        if metrics.rows:
            self._read_up_to = metrics.offsets[-1] + LONGEST_ROW
        self.history.extend(metrics.rows, metrics.offsets)
        self.samples = ([] if samples.restarted else self.samples) + samples.rows
        if log.restarted or log.lines:
            before = LogTail() if log.restarted else self.log
            lines = tuple(line.decode(errors="replace") for line in log.lines)
            self.log = LogTail(before.total + len(lines), (before.lines + lines)[-LOG_LINES:])
            self.said = ([] if log.restarted else self.said) + said_in_log(lines)
        found = (metrics, samples, notes)
        changed = any(item.rows or item.restarted for item in found) or bool(log.lines)
        return changed or log.restarted, any(item.more for item in (*found, log))

    def row_at(self, x: float, x_axis: XAxis) -> dict[str, Any]:
        """The row of the training loss nearest to an x, as it stands in the file; empty where there is none."""
        return self.history.row_at(x, x_axis)

    def chart(self, view: View, best_step: int | None) -> ChartData:
        """The lines for a view: smoothed over every row, then cut to the window, then thinned out."""
        history, axis = self.history, view.x_axis
        raw, smoothed = history.training_loss(
            axis, view.smoothing, view.is_log, view.window, view.columns
        )
        validation_x, validation = history.series("validation_loss", axis)
        if view.is_log:
            validation = curves.to_log(validation)
        return ChartData(
            view=view,
            raw=_line(*raw, view),
            smoothed=_line(*smoothed, view),
            validation=_line(validation_x, validation, view),
            best=self._best(validation_x, validation, best_step),
            broken=history.broken(axis),
            strips={
                **{name: self._strip(*history.means(name, axis), view) for name in history.metrics},
                "gap": self._strip(*self._gap(view), view),
            },
            last_x=history.last_x(axis),
        )

    def _gap(self, view: View) -> tuple[FloatArray, FloatArray]:
        """How far the validation loss lies above the smoothed training loss, at each evaluation."""
        x, validation = self.history.series("validation_loss", view.x_axis)
        _, (train_x, train) = self.history.training_loss(
            view.x_axis, view.smoothing, False, None, view.columns
        )
        known = np.isfinite(train)
        if not known.any():
            return x[:0], x[:0]
        return x, validation - np.interp(x, train_x[known], train[known])

    def _best(
        self, x: FloatArray, y: FloatArray, best_step: int | None
    ) -> tuple[float, float] | None:
        steps, _ = self.history.series("validation_loss")
        if best_step is None or not len(x):
            return None
        nearest = int(np.abs(steps - best_step).argmin())
        return (float(x[nearest]), float(y[nearest])) if np.isfinite(y[nearest]) else None

    def _strip(self, x: FloatArray, y: FloatArray, view: View) -> list[float]:
        x, y = curves.visible(x, y, view.left, view.right)
        y = y[np.isfinite(y)]
        if len(y) <= view.columns:
            return [float(value) for value in y]
        stretches = np.array_split(y, view.columns)
        return [float(stretch.mean()) for stretch in stretches]


def _line(x: FloatArray, y: FloatArray, view: View) -> Line:
    x, y = curves.visible(x, y, view.left, view.right)
    return Line(*curves.decimate(x, y, 2 * view.columns))
