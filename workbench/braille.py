"""Lines as braille characters: two dots across and four down in every cell. Pure numpy.

In: the corners of a line in cells. Out: the cells that it touches, and the character of each.
"""

from __future__ import annotations

import numpy as np

from workbench.curves import FloatArray

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""The bit of each dot of a cell, as Unicode numbers them from U+2800."""


def draw(x: FloatArray, y: FloatArray, width: int, height: int) -> list[tuple[int, int, str]]:
    """Column, row and character of the cells that the line through the corners touches, inside width x height."""
    column, row = _dots(np.asarray(x) * 2, np.asarray(y) * 4)
    inside = (column >= 0) & (column < 2 * width) & (row >= 0) & (row < 4 * height)
    dots = np.zeros((4 * height, 2 * width), dtype=np.int64)
    dots[row[inside], column[inside]] = 1
    cells = dots.reshape(height, 4, width, 2)
    codes = (cells * DOTS[None, :, None, :]).sum(axis=(1, 3))
    rows, columns = np.nonzero(codes)
    characters = (chr(0x2800 + code) for code in codes[rows, columns])
    return list(zip(columns.tolist(), rows.tolist(), characters, strict=True))


def _dots(x: FloatArray, y: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """The dots of the line: as many between two corners as they lie apart along the longer axis."""
    limit = 1e4  # a corner far outside of the window must not become a million dots
    x, y = np.clip(x, -limit, limit), np.clip(y, -limit, limit)
    steps = np.ceil(np.maximum(np.abs(np.diff(x)), np.abs(np.diff(y)))).astype(int) + 1
    start = np.repeat(np.cumsum(steps) - steps, steps)
    share = (np.arange(steps.sum()) - start) / np.repeat(steps, steps)
    along_x = np.repeat(x[:-1], steps) + share * np.repeat(np.diff(x), steps)
    along_y = np.repeat(y[:-1], steps) + share * np.repeat(np.diff(y), steps)
    column, row = np.append(along_x, x[-1:]), np.append(along_y, y[-1:])
    return np.floor(column).astype(int), np.floor(row).astype(int)
