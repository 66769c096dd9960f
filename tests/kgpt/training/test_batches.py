from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.evaluation.tokens import InMemoryTokens
from kgpt.training.batches import Batches


def batches(count: int, batch_size: int, context_length: int, seed: int = 1) -> Batches:
    return Batches(InMemoryTokens(list(range(count))), batch_size, context_length, seed)


@given(
    context_length=st.integers(1, 9),
    extra=st.integers(1, 60),
    batch_size=st.integers(1, 5),
    seed=st.integers(0, 3),
)
def test_an_epoch_is_a_permutation_without_replacement(context_length, extra, batch_size, seed):
    source = batches(context_length + extra, batch_size, context_length, seed)
    windows: list[int] = []
    step = 0
    while len(windows) < 2 * source.windows:
        inputs, targets = source.at(step)
        np.testing.assert_array_equal(
            inputs + 1, targets
        )  # tokens count up, so targets follow inputs
        assert inputs.shape == (batch_size, context_length) and inputs.dtype == np.int32
        windows += [int(row[0]) for row in inputs]
        step += 1
    first, second = windows[: source.windows], windows[source.windows : 2 * source.windows]
    for epoch in (first, second):
        assert len(set(epoch)) == source.windows
        assert all((start - min(epoch)) % context_length == 0 for start in epoch)


def test_a_batch_depends_on_seed_and_step_alone():
    inputs, _ = batches(1000, 4, 16).at(37)
    again = batches(1000, 4, 16)
    for step in (3, 90, 0):
        again.at(step)
    np.testing.assert_array_equal(again.at(37)[0], inputs)
    assert not np.array_equal(batches(1000, 4, 16, seed=2).at(37)[0], inputs)
    stream = batches(1000, 4, 16).from_step(36)
    next(stream)
    np.testing.assert_array_equal(next(stream)[0], inputs)


def test_epochs_differ_in_order_and_offset():
    source = batches(1000, 1, 16)
    first = [int(source.at(step)[0][0, 0]) for step in range(source.windows)]
    second = [int(source.at(step)[0][0, 0]) for step in range(source.windows, 2 * source.windows)]
    assert first != second and sorted(first) != sorted(second)


def test_a_corpus_shorter_than_one_context_is_refused():
    assert batches(17, 2, 16).at(0)[0].shape == (2, 16)
    with pytest.raises(KgptError, match="16 training tokens; context_length=16 needs at least 17"):
        batches(16, 2, 16)
