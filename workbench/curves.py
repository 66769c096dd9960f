"""The arithmetic of curves: smoothing, decimation, breaks. Pure numpy.

In: arrays of x and y. Out: arrays in which NaN means a break in the line. The order of work is smooth first (over
every row), thin out second, so that a curve does not change its shape with the width of the window. Knows no Textual.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.tail import is_number

FloatArray: TypeAlias = NDArray[np.float64]
XAxis = Literal["step", "tokens", "hours"]
X_AXES: tuple[XAxis, ...] = ("step", "tokens", "hours")
SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.997)
"""The weights that one can choose: the average of each is kept while rows come in."""
BLOCK = 64
"""Length of the stretches that `_exponential_sum` turns into one matrix product."""


def to_floats(values: list[Any]) -> FloatArray:
    """`values` as floats; what is no number is NaN."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([value if is_number(value) else np.nan for value in values], np.float64)


def repeat_over_gaps(values: FloatArray, before: float) -> FloatArray:
    """`values` with each NaN replaced by the last number before it."""
    padded = np.concatenate([[before], values])
    last_known = np.maximum.accumulate(np.where(np.isfinite(padded), np.arange(len(padded)), 0))
    repeated: FloatArray = padded[last_known][1:]
    return repeated


def to_log(y: FloatArray) -> FloatArray:
    """log10 of `y`; NaN where it has none."""
    return np.log10(y, out=np.full_like(y, np.nan), where=y > 0)


class RunningAverage:
    """Exponential moving average without bias towards the start, over a series that comes in parts.

    The average of y_0..y_t with weights `weight ** (t - i)`: Kingma and Ba (2015), section 3, with the correction
    for missing values in the same denominator. NaN stays NaN and is left out. `weight` is from 0 (no smoothing) up
    to, not including, 1.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self._total = self._count = 0.0

    def extend(self, y: FloatArray) -> FloatArray:
        """The averages at the next rows."""
        if self.weight <= 0 or not len(y):
            return y.copy()
        known = np.isfinite(y)
        carried = self.weight ** np.arange(1, len(y) + 1, dtype=np.float64)
        total = _exponential_sum(np.where(known, y, 0.0), self.weight) + carried * self._total
        count = _exponential_sum(known.astype(np.float64), self.weight) + carried * self._count
        self._total, self._count = float(total[-1]), float(count[-1])
        return np.divide(total, count, out=np.full_like(y, np.nan), where=known)


def smooth(y: FloatArray, weight: float) -> FloatArray:
    """The `RunningAverage` of a whole series."""
    return RunningAverage(weight).extend(y)


def _exponential_sum(y: FloatArray, weight: float) -> FloatArray:
    """s_t = y_t + weight * s_(t-1), without a Python step per row.

    Each block of rows is summed by one triangular matrix; the blocks' last sums follow the same recurrence with
    `weight ** BLOCK`, so they are summed by this very function.
    """
    powers = weight ** np.arange(BLOCK + 1, dtype=np.float64)
    distance = np.arange(BLOCK)[:, None] - np.arange(BLOCK)[None, :]
    triangle = np.where(distance >= 0, powers[np.abs(distance)], 0.0)
    if len(y) <= BLOCK:
        return triangle[: len(y), : len(y)] @ y
    blocks = np.pad(y, (0, -len(y) % BLOCK)).reshape(-1, BLOCK) @ triangle.T
    carried = _exponential_sum(blocks[:, -1].copy(), float(powers[BLOCK]))
    blocks[1:] += carried[:-1, None] * powers[None, 1:]
    return blocks.reshape(-1)[: len(y)]


def decimate(x: FloatArray, y: FloatArray, buckets: int) -> tuple[FloatArray, FloatArray]:
    """At most about four points a bucket: its lowest and highest row, in order, and NaN where the bucket has one.

    Ends and extremes survive, and so does the break that a single NaN makes. What is short enough comes back as it is.
    """
    size = -(-len(x) // max(1, buckets))
    if size <= 2:
        return x, y
    whole = len(x) // size * size
    rest = whole + _bucket_rows(y[whole:], max(1, len(x) - whole))
    rows = np.concatenate([[0], _bucket_rows(y[:whole], size), rest, [len(x) - 1]])
    rows = np.unique(rows.astype(np.int64))
    return x[rows], y[rows]


def _bucket_rows(y: FloatArray, size: int) -> NDArray[np.int64]:
    table = y.reshape(-1, size)
    is_nan = ~np.isfinite(table)
    start = np.arange(len(table)) * size
    lowest = start + np.where(is_nan, np.inf, table).argmin(axis=1)
    highest = start + np.where(is_nan, -np.inf, table).argmax(axis=1)
    broken = (start + is_nan.argmax(axis=1))[is_nan.any(axis=1)]
    return np.concatenate([lowest, highest, broken])


def segments(x: FloatArray, y: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
    """The stretches between the NaNs."""
    known = np.isfinite(y).astype(np.int8)
    edges = np.flatnonzero(np.diff(known, prepend=0, append=0))
    return [
        (x[start:end], y[start:end]) for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def visible(
    x: FloatArray, y: FloatArray, left: float | None, right: float | None
) -> tuple[FloatArray, FloatArray]:
    """The rows between two x, with one neighbour on each side so that the line runs on to the edges."""
    start = 0 if left is None else max(0, int(np.searchsorted(x, left)) - 1)
    end = len(x) if right is None else int(np.searchsorted(x, right, side="right")) + 1
    return x[start:end], y[start:end]


def broken_at(x: FloatArray, y: FloatArray) -> FloatArray:
    """Where a series stops being a number: the first x of each stretch of NaN."""
    is_nan = (~np.isfinite(y)).astype(np.int8)
    starts: FloatArray = x[np.diff(is_nan, prepend=0) == 1]
    return starts
