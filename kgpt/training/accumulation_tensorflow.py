"""A training step on TensorFlow that goes through its batch in parts. See `accumulation`.

In: a compiled Keras model, the number of parts, a batch. Out: one update, and the batch's metrics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def train_step(model: keras.Model, parts: int, data: Any) -> dict[str, Any]:
    """Replaces `keras.Model.train_step`; batches have a multiple of `parts` rows."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    pieces = in_pieces((x, y, sample_weight), parts)
    weights = model.trainable_weights
    shares = _shares(pieces[2], parts)

    def one_part(index: Any, loss_sum: Any, sums: list[Any]) -> tuple[Any, Any, list[Any]]:
        part_x, part_y, part_weight = each(pieces, lambda tensor: tensor[index])
        with tf.GradientTape() as tape:
            predicted = model(part_x, training=True)
            loss = shares[index] * model._compute_loss(
                x=part_x, y=part_y, y_pred=predicted, sample_weight=part_weight, training=True
            )
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        added = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        return index + 1, loss_sum + loss, added

    start = (tf.constant(0), tf.constant(0.0), [tf.zeros_like(weight) for weight in weights])
    _, loss, gradients = tf.while_loop(
        lambda index, *_: index < parts, one_part, start, maximum_iterations=parts
    )
    model._loss_tracker.update_state(loss)
    model.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    metrics: dict[str, Any] = model.compute_metrics(x, y, None, sample_weight=sample_weight)
    return metrics


def _shares(weights: Any, parts: int) -> Any:
    """What each part counts, summing to one."""
    if weights is None:
        return tf.fill([parts], 1.0 / parts)
    sums = weight_sums(weights)
    return tf.math.divide_no_nan(sums, tf.reduce_sum(sums))


def in_pieces(batch: Any, parts: int) -> Any:
    """Every tensor (B, ...) of a batch as (parts, B / parts, ...)."""
    return each(batch, lambda tensor: tf.reshape(tensor, (parts, -1, *tensor.shape[1:])))


def weight_sums(weights: Any) -> Any:
    """The sum of each piece's weights, float32 (parts,)."""
    return tf.reduce_sum(tf.reshape(tf.cast(weights, "float32"), (weights.shape[0], -1)), axis=1)


def each(structure: Any, change: Callable[[Any], Any]) -> Any:
    """`structure` with every tensor changed; None stays."""
    return keras.tree.map_structure(change, structure, none_is_leaf=False)
