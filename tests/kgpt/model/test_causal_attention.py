"""The three ways of attention against each other: values, gradients, precision, dropout, and memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from peak_memory import PEAK

from kgpt.model import causal_attention as module
from kgpt.model.causal_attention import blockwise, causal_attention, plain

BATCH, HEADS, TIME, SIZE = 2, 3, 23, 8


def inputs(groups: int = 1, dtype: str = "float32"):
    import tensorflow as tf

    random = np.random.default_rng(0)
    shapes = [(BATCH, HEADS, groups, TIME, SIZE), (BATCH, HEADS, TIME, SIZE)]
    shapes.append(shapes[1])
    return [tf.cast(random.normal(0, 1, shape), dtype) for shape in shapes]


def with_gradients(attend, arrays, jit: bool = False):
    import tensorflow as tf

    weights = np.random.default_rng(1).normal(0, 1, arrays[0].shape)

    @tf.function(jit_compile=jit)
    def run(arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            y = attend(*arrays)
            total = tf.reduce_sum(tf.cast(y, "float32") * tf.cast(weights, "float32"))
        return [y, *tape.gradient(total, arrays)]

    return [np.asarray(part, "float64") for part in run(arrays)]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("block", [4, 23, 64])
def test_blocks_give_what_all_scores_at_once_give(groups, block):
    arrays = inputs(groups)
    expected = with_gradients(plain, arrays)
    received = with_gradients(lambda *a: blockwise(*a, block=block), arrays)
    for one, other in zip(received, expected, strict=True):
        assert np.abs(other).max() > 0.1
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize(("jit", "dtype"), [(True, "float32"), (False, "bfloat16")])
def test_blocks_under_xla_and_in_bfloat16(jit, dtype):
    expected = with_gradients(plain, inputs(2))
    received = with_gradients(lambda *a: blockwise(*a, block=7), inputs(2, dtype), jit)
    for one, other in zip(received, expected, strict=True):
        tolerance = 0.03 * np.abs(other).max() if dtype == "bfloat16" else 1e-5
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_dropout_is_the_same_in_the_repeated_forward_pass():
    """Moving an input a little must change the result by what the gradient says."""
    import tensorflow as tf

    seed = tf.constant(5, "uint32")
    arrays = inputs(2)

    def attend(*a):
        return blockwise(*a, dropout_rate=0.4, seed=seed, block=7)

    gradients = with_gradients(attend, arrays)[1:]
    weights = np.random.default_rng(1).normal(0, 1, arrays[0].shape)
    for place, gradient in enumerate(gradients):
        way = np.random.default_rng(2).normal(0, 1, gradient.shape)
        ends = []
        for side in (-1e-3, 1e-3):
            moved = list(arrays)
            moved[place] = moved[place] + tf.cast(side * way, "float32")
            ends.append(float((np.asarray(attend(*moved), "float64") * weights).sum()))
        slope = (ends[1] - ends[0]) / 2e-3
        assert slope == pytest.approx((gradient * way).sum(), rel=5e-3, abs=1e-2)


def test_dropout_acts_with_a_seed_and_averages_to_no_change():
    import tensorflow as tf

    arrays = inputs()
    for attend in (plain, lambda *a: blockwise(*a, block=7)):
        drawn = tf.function(lambda seed, way=attend: way(*arrays, 0.5, seed), autograph=False)
        exact = np.asarray(attend(*arrays))
        np.testing.assert_array_equal(exact, np.asarray(attend(*arrays, 0.5)))  # no seed
        draws = [np.asarray(drawn(tf.constant(seed, "uint32"))) for seed in range(300)]
        assert not np.allclose(draws[0], draws[1])
        assert np.abs(np.mean(draws, axis=0) - exact).max() < 0.6
        assert np.abs(np.mean(draws, axis=0) - exact).mean() < 0.06


def test_long_contexts_are_worked_on_in_blocks(monkeypatch):
    used = []
    for name in ("plain", "blockwise"):
        way = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, way=way, name=name: used.append(name) or way(*a)
        )
    for shortest in (TIME, TIME + 1):
        monkeypatch.setattr(module, "SHORTEST", shortest)
        causal_attention(*inputs())
    assert used == ["blockwise", "plain"]


MEMORY = (
    PEAK
    + """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
from kgpt.model.causal_attention import blockwise, plain
time, layers, attend = int(sys.argv[1]), int(sys.argv[2]), {"plain": plain, "blockwise": blockwise}[sys.argv[3]]
q = tf.random.normal((1, 4, 1, time, 16))
@tf.function(autograph=False)
def run(q):
    with tf.GradientTape() as tape:
        tape.watch(q)
        y = q
        for _ in range(layers):
            y = attend(y, y[:, :, 0], y[:, :, 0])
        total = tf.reduce_sum(y)
    return tf.norm(tape.gradient(total, q))
before = peak()
float(run(q))
print(peak() - before)
"""
)


def peak(*arguments: object) -> int:
    command = [sys.executable, "-c", MEMORY, *map(str, arguments)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(json.loads(output.splitlines()[-1]))


def test_blocks_keep_no_scores_for_the_backward_pass():
    assert peak(2048, 6, "blockwise") < peak(2048, 6, "plain") / 2


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("jit", [False, True])
def test_texts_that_share_a_row_do_not_see_each_other(groups, jit):
    arrays, cut = inputs(groups), 9
    segments = np.repeat([[1, 2]], BATCH, 0).repeat([cut, TIME - cut], 1)
    alone = [
        with_gradients(plain, [array[..., place, :] for array in arrays])[0]
        for place in (slice(0, cut), slice(cut, None))
    ]
    expected = with_gradients(lambda *a: plain(*a, segments_BT=segments), arrays)
    np.testing.assert_allclose(expected[0], np.concatenate(alone, axis=-2), atol=2e-6)
    assert np.abs(with_gradients(plain, arrays)[0] - expected[0]).max() > 0.1
    blocks = with_gradients(lambda *a: blockwise(*a, segments_BT=segments, block=7), arrays, jit)
    for one, other in zip(blocks, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-6, rtol=1e-5)
