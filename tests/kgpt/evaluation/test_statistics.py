"""Standard errors against their textbook formulas, and against what they claim: how much figures vary."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kgpt.evaluation.statistics import Figure, is_noise


def test_a_mean_has_the_error_of_a_mean():
    values = np.random.default_rng(0).normal(3, 2, 50)
    figure = Figure.of(values)
    assert figure.value == pytest.approx(values.mean())
    assert figure.standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(50))


def test_a_ratio_s_error_is_how_much_it_varies():
    random, ratios, errors = np.random.default_rng(1), [], []
    for _ in range(400):
        sizes = random.integers(1, 40, 80)
        amounts = sizes * random.normal(2.0, 0.5, 80)
        figure = Figure.of(amounts, sizes)
        ratios.append(figure.value)
        errors.append(figure.standard_error)
    assert np.mean(ratios) == pytest.approx(2.0, abs=0.02)
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)


def test_each_stratum_counts_the_same():
    figure = Figure.of([1, 1, 1, 0, 0, 1], strata=[0, 0, 0, 1, 1, 1])
    assert figure.value == pytest.approx((1 + 1 / 3) / 2)
    parts = [Figure.of([1, 1, 1]).standard_error, Figure.of([0, 0, 1]).standard_error]
    assert figure.standard_error == pytest.approx(math.hypot(*parts) / 2)


def test_differences_are_paired_by_item():
    random = np.random.default_rng(2)
    hard = random.normal(0, 5, 60)
    one, other = hard + random.normal(0.5, 0.1, 60), hard
    difference, error = Figure.of(one).minus(Figure.of(other))
    assert difference == pytest.approx((one - other).mean())
    assert error == pytest.approx((one - other).std(ddof=1) / math.sqrt(60))
    assert is_noise(difference, error) is False
    alone = math.hypot(Figure.of(one).standard_error, Figure.of(other).standard_error)
    assert error < alone / 10


def test_equal_models_differ_by_nothing():
    figure = Figure.of([0.0, 1.0, 1.0])
    assert figure.minus(figure) == (0.0, 0.0)
    assert is_noise(0.0, 0.0) is True


def test_one_item_says_nothing_of_chance():
    assert Figure.of([1.0]).standard_error is None
    assert Figure.of([1.0, 0.0, 1.0], strata=[0, 0, 1]).standard_error is None
    assert is_noise(1.0, None) is None


def test_figures_of_other_items():
    with pytest.raises(ValueError, match="different items"):
        Figure.of([1.0, 2.0]).minus(Figure.of([1.0]))
