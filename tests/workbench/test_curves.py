"""The arithmetic of the curves, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import curves
from workbench.curves import FloatArray
from workbench.history import History


def plain_average(y: FloatArray, weight: float) -> list[float]:
    """The definition, one row after the other."""
    total = count = 0.0
    averages = []
    for value in y:
        known = np.isfinite(value)
        total, count = total * weight + (value if known else 0.0), count * weight + known
        averages.append(total / count if known else np.nan)
    return averages


@pytest.mark.parametrize("length", [0, 1, 2, 63, 64, 65, 129, 4097, 5000])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.9, 0.999])
def test_smooth_is_the_unbiased_average(length: int, weight: float) -> None:
    y = np.random.default_rng(length).normal(3, 1, length)
    np.testing.assert_allclose(curves.smooth(y, weight), plain_average(y, weight), rtol=1e-9)


@pytest.mark.parametrize("cuts", [[1], [10, 10, 500], [63, 64, 65, 900]])
def test_an_average_that_comes_in_parts_is_that_of_the_whole(cuts: list[int]) -> None:
    y = np.random.default_rng(4).normal(3, 1, 1000)
    y[[0, 64, 499, 500]] = np.nan
    running = curves.RunningAverage(0.98)
    found = np.concatenate([running.extend(part) for part in np.split(y, cuts)])
    np.testing.assert_allclose(found, plain_average(y, 0.98), rtol=1e-9)


def test_smooth_leaves_missing_values_out() -> None:
    y = np.random.default_rng(1).normal(3, 1, 700)
    y[[0, 5, 6, 7, 300]] = np.nan, np.nan, np.inf, np.nan, -np.inf
    np.testing.assert_allclose(curves.smooth(y, 0.9), plain_average(y, 0.9), rtol=1e-9)


def test_smooth_keeps_a_constant_and_starts_at_the_first_value() -> None:
    np.testing.assert_allclose(curves.smooth(np.full(500, 2.5), 0.99), 2.5)
    assert curves.smooth(np.array([9.0, 1.0, 1.0]), 0.99)[0] == pytest.approx(9.0)


def test_smooth_does_not_depend_on_what_comes_later() -> None:
    y = np.random.default_rng(2).normal(size=1000)
    np.testing.assert_allclose(
        curves.smooth(y, 0.95)[:400], curves.smooth(y[:400], 0.95), rtol=1e-12
    )


def test_decimate_keeps_ends_and_extremes_and_is_bounded() -> None:
    y = np.random.default_rng(3).normal(size=100_003)
    y[[41_234, 77_777]] = 50.0, -50.0
    x = np.arange(len(y)) * 10.0
    thin_x, thin_y = curves.decimate(x, y, 200)
    assert len(thin_x) <= 2 * 200 + 4
    assert (thin_x[0], thin_x[-1]) == (x[0], x[-1])
    assert (thin_y.max(), thin_y.min()) == (50.0, -50.0)
    assert thin_x[thin_y.argmax()] == 412_340
    assert (np.diff(thin_x) > 0).all()


def test_decimate_stays_small_for_a_million_rows() -> None:
    x = np.arange(999_999.0)
    assert len(curves.decimate(x, np.sin(x), 400)[0]) < 4 * 400


def test_decimate_returns_a_short_series_as_it_is() -> None:
    x = np.arange(300.0)
    assert curves.decimate(x, x, 200)[0] is x


def test_a_single_nan_breaks_the_line_also_after_decimation() -> None:
    x = np.arange(50_000.0)
    y = np.ones_like(x)
    y[20_000] = np.nan
    assert len(curves.segments(*curves.decimate(x, y, 100))) == 2


def test_decimate_of_nothing_but_nan() -> None:
    x = np.arange(10_000.0)
    thin_x, thin_y = curves.decimate(x, np.full_like(x, np.nan), 50)
    assert len(thin_x) and not np.isfinite(thin_y).any()
    assert curves.segments(thin_x, thin_y) == []


def test_segments_split_at_what_is_not_a_number() -> None:
    y = np.array([np.nan, 1, 2, np.inf, 3, np.nan, np.nan, 4, 5, 6])
    found = [list(part) for _, part in curves.segments(np.arange(10.0), y)]
    assert found == [[1, 2], [3], [4, 5, 6]]
    assert list(curves.broken_at(np.arange(10.0), y)) == [0, 3, 5]


def test_log_of_what_has_none_is_nan() -> None:
    found = curves.to_log(np.array([100.0, 0.0, -1.0, np.nan]))
    assert found[0] == 2 and np.isnan(found[1:]).all()


def test_visible_keeps_one_neighbour_on_each_side() -> None:
    x = np.arange(0.0, 100.0, 10)
    assert list(curves.visible(x, x, 25, 55)[0]) == [20, 30, 40, 50, 60]
    assert list(curves.visible(x, x, None, None)[0]) == list(x)
    assert list(curves.visible(x, x, 500, 600)[0]) == [90]


def test_history_gives_each_metric_its_own_rows() -> None:
    history = History()
    history.extend([{"step": 10, "tokens": 100, "seconds": 3600, "train_loss": 3.0}])
    history.extend(
        [
            {"step": 20, "validation_loss": 2.0},
            {"step": 30, "tokens": 300, "seconds": 7200, "train_loss": None, "surprise": "x"},
            {"step": "?", "train_loss": "bad"},
        ]
    )
    x, y = history.series("train_loss")
    assert list(x) == [10, 30, 30] and y[0] == 3.0 and np.isnan(y[1:]).all()
    assert list(history.series("train_loss", "hours")[0]) == [1, 2, 2]
    assert [list(part) for part in history.series("validation_loss", "tokens")] == [[100], [2.0]]
    assert len(history) == 4
    assert history.x_of_step(30, "tokens") == 300


def test_history_takes_numbers_too_large_for_a_float() -> None:
    history = History()
    history.extend([{"step": 1, "train_loss": 10**400}, {"step": 2, "train_loss": 2}])
    assert np.isnan(history.series("train_loss")[1][0])
    assert history.series("train_loss")[1][1] == 2


def test_an_empty_history() -> None:
    history = History()
    history.extend([])
    assert history.series("train_loss")[0].shape == (0,)
    assert history.x_of_step(3, "step") is None
