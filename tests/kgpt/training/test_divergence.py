"""What counts as a loss gone wrong. Nothing here loads Keras."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kgpt.training.divergence import RUN_LENGTH, WINDOW, steps_gone_wrong


def falling(count: int, noise: float = 0.05, seed: int = 0) -> list[float]:
    random = np.random.default_rng(seed)
    return [3 + 4 * math.exp(-step / 200) + random.normal(0, noise) for step in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_ordinary_training_is_no_spike(seed):
    losses = falling(1500, seed=seed)
    for end in range(1, len(losses)):
        assert steps_gone_wrong(losses[max(0, end - WINDOW - RUN_LENGTH) : end], 10.0) == 0


def test_a_loss_that_jumps_and_stays_is_one_after_five_steps():
    losses = falling(200)
    assert [steps_gone_wrong([*losses, *[9.0] * steps], 10.0) for steps in range(7)] == [
        0, 0, 0, 0, 0, 5, 5,
    ]  # fmt: skip
    assert steps_gone_wrong([*losses, *[9.0] * 5], 0.0) == 0
    assert steps_gone_wrong([*losses, *[9.0] * 5], 1000.0) == 0


def test_a_few_strange_batches_are_none():
    losses = falling(200)
    assert steps_gone_wrong([*losses, 30.0, 30.0, 30.0, 30.0], 10.0) == 0
    assert steps_gone_wrong([*losses, 30.0, 30.0, 3.5, 30.0, 30.0], 10.0) == 0


def test_a_tiny_rise_after_no_scatter_is_none():
    assert steps_gone_wrong([2.0] * 150 + [2.1] * 5, 10.0) == 0
    assert steps_gone_wrong([2.0] * 150 + [2.3] * 5, 10.0) == 5


def test_the_first_steps_have_nothing_to_be_compared_with():
    assert steps_gone_wrong(falling(30) + [50.0] * 5, 10.0) == 0
    assert steps_gone_wrong([], 10.0) == 0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_what_is_no_number_is_wrong_at_once(loss):
    assert steps_gone_wrong([loss], 0.0) == 1
    assert steps_gone_wrong([*falling(200), loss], 10.0) == 1
