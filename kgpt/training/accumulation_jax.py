"""A training step on JAX that goes through its batch in parts. See `accumulation`.

In: a compiled Keras model, the number of parts, the state and a batch. Out: the batch's metrics and the new state.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras


def train_step(model: keras.Model, parts: int, state: Any, data: Any) -> tuple[Any, Any]:
    """Replaces `keras.Model.train_step`; batches have a multiple of `parts` rows."""
    trainable, others, optimizer, metrics = state
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    pieces = jax.tree.map(
        lambda array: array.reshape(parts, -1, *array.shape[1:]), (x, y, sample_weight)
    )
    pieces = jax.tree.map(_spread, pieces)
    loss_of = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)

    def one_part(carry: Any, piece: Any) -> tuple[Any, None]:
        gradients, loss_sum, others, metrics = carry
        (part_x, part_y, part_weight), share = piece
        (_, (loss, _, others, metrics)), new = loss_of(
            trainable,
            others,
            metrics,
            part_x,
            part_y,
            part_weight,
            training=True,
            optimizer_variables=optimizer,
        )
        added = [total + share * gradient for total, gradient in zip(gradients, new, strict=True)]
        return (added, loss_sum + share * loss, others, metrics), None

    start = ([jnp.zeros_like(value) for value in trainable], jnp.float32(0), others, metrics)
    (gradients, loss, others, metrics), _ = jax.lax.scan(
        one_part, start, (pieces, _shares(pieces[2], parts))
    )
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    logs, metrics = model._update_metrics_variables(metrics, loss, x, y, None, sample_weight)
    return logs, (trainable, others, optimizer, metrics)


def _spread(pieces: Any) -> Any:
    """Each of the (parts, rows, ...) over all the devices that share a batch, where there are several."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return pieces
    axes = (None, *distribution.get_data_layout(pieces.shape[1:]).axes)
    layout = keras.distribution.TensorLayout(axes, distribution.device_mesh)
    return keras.distribution.distribute_tensor(pieces, layout)


def _shares(weights: Any, parts: int) -> Any:
    """What each part counts, summing to one."""
    if weights is None:
        return jnp.full(parts, 1.0 / parts)
    sums = weights.astype("float32").reshape(parts, -1).sum(axis=1)
    return sums / jnp.maximum(sums.sum(), 1e-30)
