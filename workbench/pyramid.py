"""A series of any length in bounded memory: every row leaves its trace, old rows share one.

In: rows of x, y and place in the file, as they come. Out: for stretches of `stretch` rows their lowest, highest and
mean value, whether one was no number, and the running averages at their first row. `stretch` doubles when there are too
many stretches. Smoothing sees every row, so it is the same at every width. Knows no Textual.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.curves import SMOOTHINGS, X_AXES, FloatArray, RunningAverage, to_log

FIRST_CAPACITY = 256


class Pyramid:
    """One metric. At most `2 * size` stretches; up to so many rows are kept as they are."""

    def __init__(self, size: int, is_averaged: bool = False) -> None:
        self.size = size
        self.rows = 0
        self.stretch = 1
        self.count = 0
        """Number of stretches."""
        weights = [weight for weight in SMOOTHINGS if weight] if is_averaged else []
        self._averages = [RunningAverage(weight) for weight in (*weights, *weights)]
        self._is_log = [False] * len(weights) + [True] * len(weights)
        self._first = _Columns(len(X_AXES) + len(self._averages), 2 * size)
        """x on each axis, and the averages, at the first row of each stretch."""
        self._low, self._high, self._total = (_Columns(1, 2 * size) for _ in range(3))
        self._known, self._offsets = (_Columns(1, 2 * size, np.int64) for _ in range(2))
        self._last = np.empty(0)
        self._last_value = np.nan

    def extend(self, x_AN: FloatArray, y_N: FloatArray, offsets_N: NDArray[np.int64]) -> None:
        """Append rows: x on the axes A, the values, and where in the file they begin."""
        if not len(y_N):
            return
        logs = to_log(y_N) if self._averages else y_N
        averages = [
            average.extend(logs if is_log else y_N)
            for average, is_log in zip(self._averages, self._is_log, strict=True)
        ]
        first = np.vstack([x_AN, *averages])
        self._last, self._last_value = first[:, -1].copy(), float(y_N[-1])
        while (self.rows + len(y_N) - 1) // self.stretch >= 2 * self.size:
            self._halve()
        self._add(first, y_N, offsets_N)
        self.rows += len(y_N)

    def _add(self, first: FloatArray, y: FloatArray, offsets: NDArray[np.int64]) -> None:
        stretch_of = (self.rows + np.arange(len(y))) // self.stretch
        starts = np.flatnonzero(np.diff(stretch_of, prepend=-1))
        known = np.isfinite(y)
        low = np.minimum.reduceat(np.where(known, y, np.inf), starts)
        high = np.maximum.reduceat(np.where(known, y, -np.inf), starts)
        total = np.add.reduceat(np.where(known, y, 0.0), starts)
        number = np.add.reduceat(known.astype(np.int64), starts)
        if stretch_of[0] < self.count:  # the first rows belong to the stretch that is not full yet
            place = self.count - 1
            self._low.data[0, place] = min(self._low.data[0, place], low[0])
            self._high.data[0, place] = max(self._high.data[0, place], high[0])
            self._total.data[0, place] += total[0]
            self._known.data[0, place] += number[0]
            starts, low, high, total, number = (
                starts[1:], low[1:], high[1:], total[1:], number[1:],
            )  # fmt: skip
        for columns, values in (
            (self._first, first[:, starts]),
            (self._low, low[None]),
            (self._high, high[None]),
            (self._total, total[None]),
            (self._known, number[None]),
            (self._offsets, offsets[None, starts]),
        ):
            columns.append(values, self.count)
        self.count += len(starts)

    def _halve(self) -> None:
        """Make one stretch of each two."""
        for columns in (self._first, self._offsets):
            columns.data = columns.data[:, ::2].copy()
        count = self.count + self.count % 2
        for columns, join, nothing in (
            (self._low, np.minimum, np.inf),
            (self._high, np.maximum, -np.inf),
            (self._total, np.add, 0),
            (self._known, np.add, 0),
        ):
            values = columns.data[:, :count]
            if self.count % 2:
                values = np.pad(
                    columns.data[:, : self.count], ((0, 0), (0, 1)), constant_values=nothing
                )
            columns.data = join(values[:, ::2], values[:, 1::2])
        self.count, self.stretch = count // 2, 2 * self.stretch

    # === What is in it ===

    def x(self, axis: int) -> FloatArray:
        """Where each stretch begins."""
        return self._first.data[axis, : self.count]

    def first_rows(self, axis: int) -> FloatArray:
        """X of each stretch's first row, and of the last row of all."""
        return np.append(self.x(axis), self._last[axis]) if self.count else self.x(axis)

    def has_gap(self) -> NDArray[np.bool_]:
        """Which stretches have a value that is no number."""
        number = np.full(self.count, self.stretch)
        if self.count:
            number[-1] = self.rows - (self.count - 1) * self.stretch
        return self._known.data[0, : self.count] < number

    def line(self, axis: int) -> tuple[FloatArray, FloatArray]:
        """X and y that show every extreme and every break: the rows themselves, or each stretch's low and high."""
        low, high = self._low.data[0, : self.count], self._high.data[0, : self.count]
        gap = self.has_gap()
        if self.stretch == 1:
            return self.x(axis).copy(), np.where(gap, np.nan, low)
        y = np.vstack([low, high, np.where(gap, np.nan, high)])
        shown = np.vstack([np.isfinite(low), np.isfinite(low), gap])
        x = np.broadcast_to(self.x(axis), y.shape).T[shown.T]
        return np.append(x, self._last[axis]), np.append(y.T[shown.T], self._last_value)

    def means(self, axis: int) -> tuple[FloatArray, FloatArray]:
        """X and the mean of each stretch; NaN where nothing is known."""
        known = self._known.data[0, : self.count]
        total = self._total.data[0, : self.count]
        mean = np.divide(total, known, out=np.full(self.count, np.nan), where=known > 0)
        return self.x(axis).copy(), mean

    def averaged(self, axis: int, weight: float, is_log: bool) -> tuple[FloatArray, FloatArray]:
        """X and the running average (of log10 where `is_log`) at each stretch's first row, and at the last row."""
        place = [
            number
            for number, average in enumerate(self._averages)
            if average.weight == weight and self._is_log[number] == is_log
        ]
        if not place or not self.count:
            return np.empty(0), np.empty(0)
        row = len(X_AXES) + place[0]
        x, y = self.x(axis).copy(), self._first.data[row, : self.count].copy()
        if self.stretch == 1:
            return x, y
        return np.append(x, self._last[axis]), np.append(y, self._last[row])

    def bytes_between(self, first: int, last: int) -> tuple[int, int | None]:
        """Where in the file the rows of the stretches `first` to `last` lie; None for the end of the file."""
        offsets = self._offsets.data[0, : self.count]
        end = int(offsets[last + 1]) if last + 1 < self.count else None
        return int(offsets[first]), end


class _Columns:
    """Rows of numbers that grow to the right, up to `most` of them."""

    def __init__(self, rows: int, most: int, dtype: type = np.float64) -> None:
        self.most = most
        self.data: NDArray[Any] = np.empty((rows, 0), dtype)

    def append(self, values: NDArray[np.generic], count: int) -> None:
        """Put values behind the first `count`."""
        needed = count + values.shape[1]
        if needed > self.data.shape[1]:
            room = max(needed, FIRST_CAPACITY, min(2 * needed, self.most))
            grown = np.empty((len(self.data), room), self.data.dtype)
            grown[:, :count] = self.data[:, :count]
            self.data = grown
        self.data[:, count:needed] = values
