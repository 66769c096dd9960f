"""The pyramid against plain numpy over all rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench import curves
from workbench.pyramid import Pyramid


def filled(y: np.ndarray, cuts: list[int], size: int, is_averaged: bool = False) -> Pyramid:
    pyramid = Pyramid(size, is_averaged)
    x = np.vstack([np.arange(len(y)) * scale for scale in (1.0, 10.0, 0.1)])
    places = np.arange(len(y)) * 7
    edges = [0, *sorted(min(cut, len(y)) for cut in cuts), len(y)]
    for start, end in zip(edges, edges[1:], strict=False):
        pyramid.extend(x[:, start:end], y[start:end], places[start:end])
    return pyramid


values = st.lists(
    st.one_of(st.floats(0.1, 100), st.just(float("nan")), st.just(float("inf"))),
    min_size=1,
    max_size=300,
)


@given(values, st.lists(st.integers(0, 300), max_size=6), st.integers(2, 20))
def test_every_stretch_is_what_its_rows_are(
    numbers: list[float], cuts: list[int], size: int
) -> None:
    y = np.array(numbers)
    pyramid = filled(y, cuts, size, is_averaged=True)
    assert pyramid.count <= 2 * size and pyramid.rows == len(y)
    stretch = pyramid.stretch
    parts = [y[start : start + stretch] for start in range(0, len(y), stretch)]
    assert len(parts) == pyramid.count
    known = [part[np.isfinite(part)] for part in parts]
    np.testing.assert_allclose(pyramid.means(0)[1], [p.mean() if len(p) else np.nan for p in known])
    assert list(pyramid.has_gap()) == [len(k) < len(p) for k, p in zip(known, parts, strict=True)]
    assert list(pyramid.x(1)) == [10 * n for n in range(0, len(y), stretch)]
    clean = np.where(np.isfinite(y), y, np.nan)
    for is_log in (False, True):
        expected = curves.smooth(curves.to_log(clean) if is_log else clean, 0.9)
        found_x, found = pyramid.averaged(0, 0.9, is_log)
        np.testing.assert_allclose(found, expected[found_x.astype(int)], rtol=1e-6, atol=1e-9)
    x, line = pyramid.line(0)
    if np.isfinite(y).any():
        assert np.nanmin(line) == np.nanmin(clean) and np.nanmax(line) == np.nanmax(clean)
    assert x[-1] == len(y) - 1 and (np.diff(x) >= 0).all()
    assert np.isnan(line).any() == np.isnan(clean).any()


def test_the_place_in_the_file_of_each_stretch() -> None:
    pyramid = filled(np.ones(100), [33], 8)
    assert pyramid.stretch == 8
    assert pyramid.bytes_between(2, 4) == (2 * 8 * 7, 5 * 8 * 7)
    assert pyramid.bytes_between(11, 12) == (11 * 8 * 7, None)


def test_a_million_rows_take_as_much_as_the_size_says() -> None:
    pyramid = Pyramid(256, is_averaged=True)
    for start in range(0, 1_000_000, 5000):
        rows = np.arange(start, start + 5000)
        pyramid.extend(np.vstack([rows] * 3).astype(float), np.sin(rows / 1e5), rows)
    held = [
        pyramid._first,
        pyramid._low,
        pyramid._high,
        pyramid._total,
        pyramid._known,
        pyramid._offsets,
    ]
    assert sum(columns.data.nbytes for columns in held) < 4 * 512 * 8 * 25
    assert pyramid.count <= 512


def test_nothing_is_nothing() -> None:
    pyramid = Pyramid(4, is_averaged=True)
    pyramid.extend(np.empty((3, 0)), np.empty(0), np.empty(0, np.int64))
    assert pyramid.line(0)[0].shape == pyramid.means(0)[0].shape == (0,)
    assert pyramid.averaged(0, 0.9, False)[0].shape == (0,)
