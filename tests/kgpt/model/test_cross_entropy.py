"""The chunked loss against the textbook's formula in float64, and its gradients against the backend's own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from peak_memory import PEAK

from kgpt.model.cross_entropy import CHUNK_BYTES, SMALLEST_CHUNK, CrossEntropy, chunk_size

N, C, V, PADDED = 37, 12, 29, 32


def inputs(seed: int = 0):
    random = np.random.default_rng(seed)
    x, head = random.normal(0, 1, (N, C)), random.normal(0, 1, (PADDED, C))
    return (
        x.astype("float32"),
        head.astype("float32"),
        random.integers(0, V, N).astype("int32"),
        random.integers(0, 3, N).astype("float32"),
    )


def textbook(x, head, target, weight, smoothing=0.0, z_loss=0.0):
    """Loss and gradients, each token by itself."""
    x, head, loss = x.astype("float64"), head.astype("float64")[:V], 0.0
    dx, dhead = np.zeros_like(x), np.zeros((PADDED, C))
    for row, (vector, wanted, share) in enumerate(zip(x, target, weight, strict=True)):
        logits = head @ vector
        log_sum = np.log(np.exp(logits).sum())
        p, goal = np.exp(logits - log_sum), np.full(V, smoothing / V)
        goal[wanted] += 1 - smoothing
        loss += share * (-(goal * (logits - log_sum)).sum() + z_loss * log_sum**2)
        dlogits = share * (p - goal + 2 * z_loss * log_sum * p)
        dx[row] = dlogits @ head
        dhead[:V] += np.outer(dlogits, vector)
    return loss / weight.sum(), dx / weight.sum(), dhead / weight.sum()


def measured(loss: CrossEntropy, arrays, chunk: int, jit: bool = False, scale: float = 1.0):
    import tensorflow as tf

    x, head, target, weight = arrays

    @tf.function(jit_compile=jit)
    def run(x, head):
        with tf.GradientTape() as tape:
            tape.watch((x, head))
            value = scale * loss.mean(x, head, target, weight, chunk)
        return value, *tape.gradient(value, (x, head))

    return [part.numpy() for part in run(tf.constant(x), tf.constant(head))]


@pytest.mark.parametrize("chunk", [0, 5, 37, 100])
@pytest.mark.parametrize(("smoothing", "z_loss"), [(0.0, 0.0), (0.1, 0.0), (0.1, 0.01)])
def test_loss_and_gradients_are_the_textbooks(chunk, smoothing, z_loss):
    arrays = inputs()
    expected = textbook(*arrays, smoothing, z_loss)
    received = measured(CrossEntropy(V, True, smoothing, z_loss), arrays, chunk)
    for one, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)
    assert not received[2][V:].any()  # rows that stand for no token learn nothing


@pytest.mark.parametrize("chunk", [0, 5])
def test_xla_and_a_head_of_columns_change_nothing(chunk):
    x, head, target, weight = inputs()
    expected = textbook(x, head, target, weight)
    columns = (x, np.ascontiguousarray(head.T), target, weight)
    value, dx, dhead = measured(CrossEntropy(V, False), columns, chunk, jit=True)
    for one, other in zip((value, dx, dhead.T), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, rtol=1e-5)


def test_tensorflows_kernel_and_the_plain_formula_agree():
    x, head, target, _ = inputs()
    loss, logits = CrossEntropy(V, True), np.where(np.arange(PADDED) < V, x @ head.T, -1e30)
    kernel = loss.from_logits(logits.astype("float32"), target)
    formula = loss._from_logits(logits.astype("float32"), np.arange(PADDED) < V, target)
    for one, other in zip(kernel, formula, strict=True):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-6, rtol=1e-5)


def test_the_upstream_gradient_counts():
    arrays = inputs()
    one, three = (measured(CrossEntropy(V, True), arrays, 5, scale=s) for s in (1.0, 3.0))
    for small, large in zip(one, three, strict=True):
        np.testing.assert_allclose(3 * small, large, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("vocabulary_first", [True, False])
def test_losses_of_each_token_are_those_of_the_mean(vocabulary_first, smoothing):
    x, head, target, weight = inputs()
    expected = textbook(x, head, target, weight, smoothing, smoothing / 100)[0]
    head = head if vocabulary_first else np.ascontiguousarray(head.T)
    loss = CrossEntropy(V, vocabulary_first, smoothing, smoothing / 100)
    for chunk in (0, 5):
        losses = np.asarray(loss.each(x, head, target, chunk))
        assert losses.shape == (N,)
        assert (losses * weight).sum() / weight.sum() == pytest.approx(expected, rel=1e-6)


def test_bfloat16_vectors_keep_a_float32_loss():
    import tensorflow as tf

    x, head, target, weight = inputs()
    rough = tf.cast(x, "bfloat16")
    value = CrossEntropy(V, True).mean(rough, head, target, weight, 5)
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(textbook(x, head, target, weight)[0], rel=0.02)


def test_float16_gradients_of_many_tokens_are_not_lost():
    import tensorflow as tf

    x, head, target, weight = (np.tile(part, 2000) if part.ndim == 1 else part for part in inputs())
    x = tf.cast(np.tile(x, (2000, 1)), "float16")
    with tf.GradientTape() as tape:
        tape.watch(x)
        scaled = 2.0**15 * CrossEntropy(V, True).mean(x, head, target, weight, 5000)
    gradient = tape.gradient(scaled, x).numpy().astype("float64") / 2**15
    expected = textbook(*inputs())[1] / 2000
    np.testing.assert_allclose(gradient[:N], expected, rtol=0.05, atol=2e-8)


def test_chunks_are_even_and_hold_what_they_may():
    for tokens, size in ((768, 65), (4096, 8192), (16384, 50257), (3, 10**6)):
        chunk = chunk_size(tokens, size)
        assert chunk <= max(SMALLEST_CHUNK, CHUNK_BYTES // (4 * size))
        assert -(-tokens // chunk) * chunk - tokens < -(-tokens // chunk)
    assert chunk_size(768, 65) == 768


MEMORY = (
    PEAK
    + """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
from kgpt.model.cross_entropy import CrossEntropy, chunk_size
tokens, width, size, way = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
random = np.random.default_rng(0)
x = tf.constant(random.normal(0, 1, (tokens, width)).astype("float32"))
head = tf.constant(random.normal(0, 0.1, (size, width)).astype("float32"))
target = random.integers(0, size, tokens).astype("int32")
weight = np.ones(tokens, "float32")
def plain(x, head):
    logits = tf.matmul(x, head, transpose_b=True)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits))
def chunked(x, head):
    return CrossEntropy(size, True).mean(x, head, target, weight, chunk_size(tokens, size))
loss = {"plain": plain, "chunked": chunked}[way]
@tf.function(jit_compile=False)
def run(x, head):
    with tf.GradientTape() as tape:
        tape.watch((x, head))
        value = loss(x, head)
    dx, dhead = tape.gradient(value, (x, head))
    return value, tf.norm(dx), tf.norm(dhead)
before = peak()
values = [float(value) for value in run(x, head)]
print(json.dumps([peak() - before, *values]))
"""
)


def test_a_large_vocabulary_takes_a_fraction_of_the_plain_losss_memory():
    sides = {}
    for way in ("plain", "chunked"):
        command = [sys.executable, "-c", MEMORY, "4096", "32", "16384", way]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        sides[way] = json.loads(output.splitlines()[-1])
    assert sides["chunked"][1:] == pytest.approx(sides["plain"][1:], rel=1e-5)
    assert sides["chunked"][0] < sides["plain"][0] / 3
