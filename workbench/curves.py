"""From rows of metrics to lines that a chart can draw: columns, smoothing, decimation. Pure numpy.

In: rows of `metrics.jsonl`, in order. Out: arrays of x and y in which NaN means a break in the line. The order of
work is smooth first (over every row), thin out second, so that a curve does not change its shape with the width of
the window. Knows no Textual.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.tail import is_number

FloatArray: TypeAlias = NDArray[np.float64]
XAxis = Literal["step", "tokens", "hours"]
X_AXES: tuple[XAxis, ...] = ("step", "tokens", "hours")
METRICS = (
    "train_loss",
    "validation_loss",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "bits_per_byte",
)
BLOCK = 64
"""Length of the stretches that `_exponential_sum` turns into one matrix product."""


class History:
    """The columns of one run's metrics: each metric with the step, tokens and hours of its own rows."""

    def __init__(self) -> None:
        self._x: dict[str, array[float]] = {name: array("d") for name in X_AXES}
        self._rows = {name: array("l") for name in METRICS}
        self._values = {name: array("d") for name in METRICS}

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._x["step"])

    def extend(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows. A missing step, tokens or seconds repeats the last one; a metric that is null is a NaN."""
        start = len(self)
        for name, key, scale in (
            ("step", "step", 1.0),
            ("tokens", "tokens", 1.0),
            ("hours", "seconds", 1 / 3600),
        ):
            column = _to_floats([row.get(key) for row in rows]) * scale
            before = self._x[name][-1] if start else 0.0
            self._x[name].frombytes(_repeat_over_gaps(column, before).tobytes())
        for name in METRICS:
            present = [start + number for number, row in enumerate(rows) if name in row]
            self._rows[name].extend(present)
            values = _to_floats([rows[number - start][name] for number in present])
            self._values[name].frombytes(values.tobytes())

    def series(self, metric: str, x_axis: XAxis = "step") -> tuple[FloatArray, FloatArray]:
        """X and y of one metric, copied; x in steps, tokens or hours."""
        rows = np.array(self._rows[metric], dtype=np.int64)
        return np.array(self._x[x_axis])[rows], np.array(self._values[metric])

    def x_of_step(self, step: int, x_axis: XAxis) -> float | None:
        """Where a step lies on an x axis; None when there are no rows."""
        if not len(self):
            return None
        position = int(np.searchsorted(np.array(self._x["step"]), step))
        return float(self._x[x_axis][min(position, len(self) - 1)])


def _to_floats(values: list[Any]) -> FloatArray:
    """`values` as floats; what is no number is NaN."""
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.array([value if is_number(value) else np.nan for value in values], np.float64)


def _repeat_over_gaps(values: FloatArray, before: float) -> FloatArray:
    """`values` with each NaN replaced by the last number before it."""
    padded = np.concatenate([[before], values])
    last_known = np.maximum.accumulate(np.where(np.isfinite(padded), np.arange(len(padded)), 0))
    repeated: FloatArray = padded[last_known][1:]
    return repeated


def to_log(y: FloatArray) -> FloatArray:
    """log10 of `y`; NaN where it has none."""
    return np.log10(y, out=np.full_like(y, np.nan), where=y > 0)


def smooth(y: FloatArray, weight: float) -> FloatArray:
    """Exponential moving average without bias towards the start; NaN stays NaN and is left out of the average.

    The average of y_0..y_t with weights `weight ** (t - i)`: Kingma and Ba (2015), section 3, with the correction
    for missing values in the same denominator. `weight` is from 0 (no smoothing) up to, not including, 1.
    """
    if weight <= 0 or not len(y):
        return y.copy()
    known = np.isfinite(y)
    total = _exponential_sum(np.where(known, y, 0.0), weight)
    count = _exponential_sum(known.astype(np.float64), weight)
    return np.divide(total, count, out=np.full_like(y, np.nan), where=known)


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
