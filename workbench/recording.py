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
from workbench.curves import FloatArray, History, XAxis
from workbench.tail import JsonTail, LineTail

CHUNK_BYTES = 1 << 18
LOG_LINES = 2000
STRIP_METRICS = ("learning_rate", "gradient_norm", "tokens_per_second")


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
        self.history = History()
        self.samples: list[dict[str, Any]] = []
        self.log = LogTail()
        self._metrics = JsonTail(folder.metrics_file, CHUNK_BYTES)
        self._samples = JsonTail(folder.samples_file, CHUNK_BYTES)
        self._log = LineTail(folder.log_file, CHUNK_BYTES)

    def refresh(self) -> tuple[bool, bool]:
        """Read one chunk of each file on: whether anything changed, and whether there is more at once."""
        metrics, samples, log = self._metrics.read(), self._samples.read(), self._log.read()
        if metrics.restarted:
            self.history = History()
        self.history.extend(metrics.rows)
        self.samples = ([] if samples.restarted else self.samples) + samples.rows
        if log.restarted or log.lines:
            before = LogTail() if log.restarted else self.log
            lines = tuple(line.decode(errors="replace") for line in log.lines)
            self.log = LogTail(before.total + len(lines), (before.lines + lines)[-LOG_LINES:])
        found = (metrics, samples)
        changed = any(item.rows or item.restarted for item in found) or bool(log.lines)
        return changed or log.restarted, any(item.more for item in (*found, log))

    def chart(self, view: View, best_step: int | None) -> ChartData:
        """The lines for a view: smoothed over every row, then cut to the window, then thinned out."""
        x, train = self.history.series("train_loss", view.x_axis)
        validation_x, validation = self.history.series("validation_loss", view.x_axis)
        broken = curves.broken_at(x, train)
        if view.is_log:
            train, validation = curves.to_log(train), curves.to_log(validation)
        smoothed = curves.smooth(train, view.smoothing)
        return ChartData(
            view=view,
            raw=_line(x, train, view),
            smoothed=_line(x, smoothed, view),
            validation=_line(validation_x, validation, view),
            best=self._best(validation_x, validation, view, best_step),
            broken=broken[:20],
            strips={name: self._strip(name, view) for name in STRIP_METRICS},
        )

    def _best(
        self, x: FloatArray, y: FloatArray, view: View, best_step: int | None
    ) -> tuple[float, float] | None:
        where = None if best_step is None else self.history.x_of_step(best_step, view.x_axis)
        if where is None or not len(x):
            return None
        nearest = int(np.abs(x - where).argmin())
        return (where, float(y[nearest])) if np.isfinite(y[nearest]) else None

    def _strip(self, metric: str, view: View) -> list[float]:
        x, y = curves.visible(*self.history.series(metric, view.x_axis), view.left, view.right)
        y = y[np.isfinite(y)]
        if len(y) <= view.columns:
            return [float(value) for value in y]
        stretches = np.array_split(y, view.columns)
        return [float(stretch.mean()) for stretch in stretches]


def _line(x: FloatArray, y: FloatArray, view: View) -> Line:
    x, y = curves.visible(x, y, view.left, view.right)
    return Line(*curves.decimate(x, y, 2 * view.columns))
