"""From logits to one token a row, in TensorFlow ops: greedy, temperature, top-k and top-p, each row by its own.

Axes: B batch, V vocabulary, N new tokens.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Controls(NamedTuple):
    """How each row is to be written: five tensors (B,)."""

    max_new_tokens: Any
    """int32; a row is written to the end of its text, or to as many tokens."""
    temperature: Any
    """float32; 0 takes the likeliest token."""
    top_k: Any
    """int32; sample among the k likeliest tokens only, 0 among all."""
    top_p: Any
    """float32; sample among the likeliest tokens that together reach this probability (arXiv:1904.09751)."""
    seed: Any
    """int64; equal seeds draw equal numbers, whatever else is in the batch."""


CONTROL_TYPES = Controls(tf.int32, tf.float32, tf.int32, tf.float32, tf.int64)


def checked(controls: Controls, batch_size: Any, context_length: int) -> Controls:
    """`controls`, with an assertion in the graph for each rule that they must follow."""
    length, temperature, top_k, top_p, _ = controls
    for name, value in controls._asdict().items():
        rule = f"{name} must have one value for each text."
        tf.debugging.assert_equal(tf.shape(value), [batch_size], rule)
    tf.debugging.assert_less(0, length, "max_new_tokens must be at least 1.")
    rule = f"max_new_tokens must be at most {context_length}, the model's context."
    tf.debugging.assert_less_equal(length, context_length, rule)
    tf.debugging.assert_less_equal(0.0, temperature, "temperature must be 0 or more.")
    tf.debugging.assert_less(temperature, float("inf"), "temperature must be finite.")
    tf.debugging.assert_less_equal(0, top_k, "top_k must be 0 or more; 0 means all tokens.")
    tf.debugging.assert_less(0.0, top_p, "top_p must be above 0.")
    tf.debugging.assert_less_equal(top_p, 1.0, "top_p must be at most 1.")
    return controls


def uniform_numbers(seed_B: Any, count: int) -> Any:
    """`count` numbers in [0, 1) for each row (B, count), a function of the row's seed alone."""

    def draw(seed: Any) -> Any:
        return tf.random.stateless_uniform([count], seed=[seed, 0], alg="philox")

    return tf.map_fn(draw, seed_B, fn_output_signature=tf.TensorSpec([count], tf.float32))


def next_token(logits_BV: Any, uniform_B: Any, controls: Controls) -> Any:
    """The next token of each row, int32 (B,)."""
    greedy_B = tf.argmax(logits_BV, axis=-1, output_type=tf.int32)

    def sampled() -> Any:
        return tf.where(controls.temperature > 0, _sample(logits_BV, uniform_B, controls), greedy_B)

    return tf.cond(tf.reduce_any(controls.temperature > 0), sampled, lambda: greedy_B)


def _sample(logits_BV: Any, uniform_B: Any, controls: Controls) -> Any:
    temperature_B = tf.where(controls.temperature > 0, controls.temperature, 1.0)
    # The largest logit becomes 0 first, so that a temperature near 0 overflows to -inf only.
    logits_BV = logits_BV - tf.reduce_max(logits_BV, axis=-1, keepdims=True)
    logits_BV = keep_top_k(logits_BV / temperature_B[:, None], controls.top_k)
    cumulative_BV = tf.cumsum(tf.nn.softmax(keep_top_p(logits_BV, controls.top_p)), axis=-1)
    goal_B1 = (uniform_B * cumulative_BV[:, -1])[:, None]
    passed_B = tf.reduce_sum(tf.cast(cumulative_BV <= goal_B1, tf.int32), axis=-1)
    return tf.minimum(passed_B, tf.shape(logits_BV)[-1] - 1)


def keep_top_k(logits_BV: Any, top_k_B: Any) -> Any:
    """-inf for what is below a row's k-th largest logit; a row whose k is 0 stays as it is."""

    def filtered() -> Any:
        k_B = tf.minimum(top_k_B, tf.shape(logits_BV)[-1])
        largest_BK = tf.math.top_k(logits_BV, k=tf.reduce_max(k_B)).values
        smallest_B1 = tf.gather(largest_BK, tf.maximum(k_B - 1, 0)[:, None], batch_dims=1)
        dropped_BV = (logits_BV < smallest_B1) & (k_B > 0)[:, None]
        return tf.where(dropped_BV, -float("inf"), logits_BV)

    return tf.cond(tf.reduce_any(top_k_B > 0), filtered, lambda: logits_BV)


def keep_top_p(logits_BV: Any, top_p_B: Any) -> Any:
    """-inf for what comes, by falling probability, after the tokens that together reach a row's p."""

    def filtered() -> Any:
        sorted_BV = tf.sort(logits_BV, axis=-1, direction="DESCENDING")
        before_BV = tf.cumsum(tf.nn.softmax(sorted_BV), axis=-1, exclusive=True)
        kept_B = tf.reduce_sum(tf.cast(before_BV < top_p_B[:, None], tf.int32), axis=-1)
        smallest_B1 = tf.gather(sorted_BV, tf.maximum(kept_B - 1, 0)[:, None], batch_dims=1)
        dropped_BV = (logits_BV < smallest_B1) & (top_p_B < 1)[:, None]
        return tf.where(dropped_BV, -float("inf"), logits_BV)

    return tf.cond(tf.reduce_any(top_p_B < 1), filtered, lambda: logits_BV)
