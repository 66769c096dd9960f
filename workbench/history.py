"""The metrics of one run in bounded memory: a pyramid for each metric, and exact rows from the file where they count.

In: rows of `metrics.jsonl` with their places in the file. Out: lines of a metric for a view, raw and smoothed. Up to
`EXACT` rows of the training loss are kept as they are; of longer runs a window that is small enough is read again from
the file. Knows no Textual.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from workbench import curves
from workbench.curves import SMOOTHINGS, X_AXES, FloatArray, XAxis
from workbench.pyramid import Pyramid
from workbench.tail import is_number

SIZES = {
    "train_loss": 1 << 15,
    "validation_loss": 1 << 12,
    "learning_rate": 1 << 10,
    "gradient_norm": 1 << 10,
    "tokens_per_second": 1 << 10,
    "bits_per_byte": 1 << 10,
}
"""Metrics that every run has, and half of the most stretches that are kept of each."""

OTHER_SIZE = 1 << 10
"""The same for a metric that only some runs have."""

MAX_METRICS = 64
"""More metrics than this are not kept: rows of a foreign program may have any number of fields."""

IN_THE_CHART = ("train_loss", "validation_loss")
X_FIELDS = ("step", "tokens", "seconds")

EXACT = 2 * SIZES["train_loss"]

MAX_ROWS_READ = 1 << 17
"""Most rows that are read again for a window: about a third of a second."""

WARM_UP_ROWS = 8192
"""Rows read before the window, so that the average inside does not feel where it began: 0.997 ** 8192 < 3e-11."""

MAX_BROKEN = 20

ReadBetween = Callable[[int, int | None], list[dict[str, Any]]]
"""Rows between two places of the file (None: to the last row known)."""


class History:
    """The columns of one run's metrics."""

    def __init__(self, read_between: ReadBetween = lambda start, end: []) -> None:
        self._read_between = read_between
        self._pyramids = {
            name: Pyramid(size, is_averaged=name == "train_loss") for name, size in SIZES.items()
        }
        self._last_x = np.zeros(len(X_AXES))
        self._count = 0
        self._broken: list[FloatArray] = []
        self._was_broken = False
        self._window: tuple[tuple[int, int, int], FloatArray, FloatArray] | None = None

    def __len__(self) -> int:
        """Number of rows."""
        return self._count

    def extend(self, rows: Sequence[Mapping[str, Any]], offsets: Sequence[int] = ()) -> None:
        """Append rows. A missing step, tokens or seconds repeats the last one; a metric that is null is a NaN."""
        if not rows:
            return
        self._meet(rows)
        x_AN = self._x_of(rows, self._last_x)
        places = np.array(offsets or [0] * len(rows), dtype=np.int64)
        for name, pyramid in self._pyramids.items():
            present = [number for number, row in enumerate(rows) if name in row]
            if present:
                y = curves.to_floats([rows[number][name] for number in present])
                pyramid.extend(x_AN[:, present], y, places[present])
                if name == "train_loss":
                    self._note_breaks(x_AN[:, present], y)
        self._last_x = x_AN[:, -1].copy()
        self._count += len(rows)

    def _meet(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Begin a pyramid for each metric that has not come before."""
        for name in dict.fromkeys(itertools.chain.from_iterable(rows)):
            is_known = name in self._pyramids or name in X_FIELDS
            if is_known or len(self._pyramids) >= MAX_METRICS:
                continue
            if any(is_number(row.get(name)) for row in rows):
                self._pyramids[name] = Pyramid(OTHER_SIZE)

    def _x_of(self, rows: Sequence[Mapping[str, Any]], before: FloatArray) -> FloatArray:
        keys = (("step", 1.0), ("tokens", 1.0), ("seconds", 1 / 3600))
        columns = [
            curves.repeat_over_gaps(curves.to_floats([row.get(key) for row in rows]) * scale, last)
            for (key, scale), last in zip(keys, before, strict=True)
        ]
        return np.array(columns)

    def _note_breaks(self, x_AN: FloatArray, y: FloatArray) -> None:
        is_nan = ~np.isfinite(y)
        before = np.concatenate([[self._was_broken], is_nan[:-1]])
        for number in np.flatnonzero(is_nan & ~before):
            if len(self._broken) < MAX_BROKEN:
                self._broken.append(x_AN[:, number].copy())
        self._was_broken = bool(is_nan[-1])

    # === Lines ===

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics beside the losses that have been met, in the order of their first rows."""
        return [
            name
            for name, pyramid in self._pyramids.items()
            if pyramid.count and name not in IN_THE_CHART
        ]

    def series(self, metric: str, x_axis: XAxis = "step") -> tuple[FloatArray, FloatArray]:
        """X and y of one metric: its rows, or of a long one the extremes of short stretches."""
        return self._pyramids[metric].line(X_AXES.index(x_axis))

    def means(self, metric: str, x_axis: XAxis) -> tuple[FloatArray, FloatArray]:
        """X and y of one metric: its rows, or of a long one the means of short stretches."""
        return self._pyramids[metric].means(X_AXES.index(x_axis))

    def training_loss(
        self,
        x_axis: XAxis,
        smoothing: float,
        is_log: bool,
        window: tuple[float, float] | None,
        columns: int,
    ) -> tuple[tuple[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
        """The training loss raw and smoothed, in log10 where `is_log`; with enough points for so many columns."""
        axis, weight = X_AXES.index(x_axis), nearest_smoothing(smoothing)
        pyramid = self._pyramids["train_loss"]
        exact = self._exact(pyramid, axis, window, columns) if window else None
        x, y = exact or pyramid.line(axis)
        raw = x, curves.to_log(y) if is_log else y
        if not weight:
            return raw, raw
        if exact:
            return raw, (x, curves.smooth(raw[1], weight))
        return raw, pyramid.averaged(axis, weight, is_log)

    def _exact(
        self, pyramid: Pyramid, axis: int, window: tuple[float, float], columns: int
    ) -> tuple[FloatArray, FloatArray] | None:
        """The rows of a window, and some before it, where the pyramid is too coarse and the file is not too long."""
        if pyramid.stretch == 1 or not pyramid.count:
            return None
        first, last = (int(np.searchsorted(pyramid.x(axis), edge)) for edge in window)
        last = min(last, pyramid.count - 1)
        if last - first >= 2 * columns or (last - first + 2) * pyramid.stretch > MAX_ROWS_READ:
            return None
        first = max(0, first - 1 - -(-WARM_UP_ROWS // pyramid.stretch))
        key = (first, last, pyramid.rows if last == pyramid.count - 1 else pyramid.stretch)
        if self._window is None or self._window[0] != key:
            rows = self._read_between(*pyramid.bytes_between(first, last))
            x_AN = self._x_of(rows, np.array([pyramid.x(a)[first] for a in range(len(X_AXES))]))
            present = [number for number, row in enumerate(rows) if "train_loss" in row]
            y = curves.to_floats([rows[number]["train_loss"] for number in present])
            self._window = (key, x_AN[:, present], y)
        _, x_AN, y = self._window
        return (x_AN[axis], y) if len(y) else None

    # === Single points ===

    def row_at(self, x: float, x_axis: XAxis) -> dict[str, Any]:
        """The row with a training loss that lies nearest to an x, read from the file; empty where there is none."""
        axis, pyramid = X_AXES.index(x_axis), self._pyramids["train_loss"]
        if not pyramid.count:
            return {}
        place = max(0, int(np.searchsorted(pyramid.x(axis), x, side="right")) - 1)
        last = min(place + 1, pyramid.count - 1)
        rows = self._read_between(*pyramid.bytes_between(place, last))
        if not rows:
            return {}
        there = self._x_of(rows, np.array([pyramid.x(a)[place] for a in range(len(X_AXES))]))[axis]
        distance = [
            abs(at - x) if "train_loss" in row else np.inf
            for at, row in zip(there, rows, strict=True)
        ]
        nearest = int(np.argmin(distance))
        return {**rows[nearest], "x": float(there[nearest])}

    def broken(self, x_axis: XAxis) -> FloatArray:
        """Where the training loss stops being a number."""
        return np.array([x[X_AXES.index(x_axis)] for x in self._broken])

    def last_x(self, x_axis: XAxis) -> float | None:
        """X of the last row."""
        return float(self._last_x[X_AXES.index(x_axis)]) if self._count else None

    def x_of_step(self, step: float, x_axis: XAxis) -> float | None:
        """Where a step lies on an x axis; None when there are no rows."""
        for metric in ("train_loss", "validation_loss"):
            pyramid = self._pyramids[metric]
            if pyramid.count:
                steps, x = pyramid.first_rows(0), pyramid.first_rows(X_AXES.index(x_axis))
                return float(np.interp(step, steps, x))
        return None


def nearest_smoothing(weight: float) -> float:
    """The weight nearest to one that can be chosen."""
    return min(SMOOTHINGS, key=lambda known: abs(known - weight))
