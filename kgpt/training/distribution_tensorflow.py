"""Several devices of one machine on TensorFlow: `tf.distribute.MirroredStrategy`. See `distribution`.

In: what is here, a compiled model, a batch. Out: devices, a strategy, and a training step whose loss and update are
those of the whole batch. Each device works on its rows; the gradients are summed over all of them before they are
clipped, so that the global norm is that of the whole batch's gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kgpt.training.accumulation_tensorflow import each, in_pieces, weight_sums

REPLICA_SEED = 0x9E3779B1
"""An odd number: multiples of it, added to the random state, give each device dropout masks of its own."""


def get_ready(cpu_devices: int) -> bool:
    """Let GPUs take memory as they need it, and split the CPU; False if TensorFlow runs already, with other CPUs."""
    try:
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
    except (RuntimeError, ValueError):  # in use already, or a device that has no such setting
        pass
    if not cpu_devices:
        return True
    try:
        parts = [tf.config.LogicalDeviceConfiguration()] * cpu_devices
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    except RuntimeError:
        return len(tf.config.list_logical_devices("CPU")) == cpu_devices
    return True


def mirrored(devices: list[str]) -> Any:
    """A strategy over devices such as `gpu:0`."""
    return tf.distribute.MirroredStrategy([f"/{device.upper()}" for device in devices])


def dataset(read: Callable[[], Iterator[Any]], arrays: Any) -> Any:
    """What `read()` gives, (nested) tuples of arrays of these shapes and types, in a form that a strategy can cut.

    Keras takes the shapes of a generator's batches from the first ones; here a size that is None may differ.

    `fit` takes a look at the first batch and begins anew, so `read` must be able to.
    """
    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec(array.shape, array.dtype), arrays
    )
    return tf.data.Dataset.from_generator(read, output_signature=signature)


def train_step(model: keras.Model, parts: int, compiles: bool, data: Any) -> dict[str, Any]:
    """Replaces `keras.Model.train_step`, and runs on each device; its rows are a multiple of `parts`.

    With `compiles`, XLA compiles what a device does between two exchanges.
    """
    here = tf.distribute.get_replica_context()
    count, place = here.num_replicas_in_sync, here.replica_id_in_sync_group
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    pieces = in_pieces((x, y, sample_weight), parts)
    shares = tf.fill([parts], 1.0 / parts)
    if pieces[2] is not None:
        sums = weight_sums(pieces[2])
        every = here.all_reduce(tf.distribute.ReduceOp.SUM, tf.reduce_sum(sums))
        shares = count * tf.math.divide_no_nan(sums, every)  # Keras divides losses by the count
    states = [_own(variable.value, place) for variable in model.non_trainable_variables]
    work = functools.partial(_gradients, model, parts)
    if compiles:
        work = tf.function(work, jit_compile=True, autograph=False)
    loss, gradients, states = work(pieces, shares, states)
    loss, gradients = here.all_reduce(tf.distribute.ReduceOp.SUM, (loss, gradients))
    gradients, norm = model.optimizer.clipped(gradients)
    here.merge_call(functools.partial(_update, model), args=(loss, gradients, norm, states))
    return {"loss": loss}


def _own(state: Any, place: Any) -> Any:
    """A random state for one device; the first device's is the one it would have alone."""
    first = state[:1] + tf.cast(place, state.dtype) * tf.constant(REPLICA_SEED, state.dtype)
    return tf.concat([first, state[1:]], axis=0)


def _gradients(model: keras.Model, parts: int, pieces: Any, shares: Any, states: Any) -> Any:
    """Loss and gradients of a device's rows, each a share of the whole batch's; and the random states after that."""
    weights = model.trainable_weights

    def one_part(index: Any, loss_sum: Any, states: Any, sums: list[Any]) -> tuple[Any, ...]:
        part_x, part_y, part_weight = each(pieces, lambda tensor: tensor[index])
        scope = keras.StatelessScope(list(zip(model.non_trainable_variables, states, strict=True)))
        with tf.GradientTape() as tape:
            with scope:
                predicted = model(part_x, training=True)
            loss = shares[index] * model._compute_loss(
                x=part_x, y=part_y, y_pred=predicted, sample_weight=part_weight, training=True
            )
            scaled = model.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, weights)
        added = [total + gradient for total, gradient in zip(sums, gradients, strict=True)]
        moved = [
            _after(scope, v, s) for v, s in zip(model.non_trainable_variables, states, strict=True)
        ]
        return index + 1, loss_sum + loss, moved, added

    zeros = [tf.zeros(weight.shape, weight.dtype) for weight in weights]
    _, loss, states, gradients = tf.while_loop(
        lambda index, *_: index < parts,
        one_part,
        (tf.constant(0), tf.constant(0.0), states, zeros),
        maximum_iterations=parts,
    )
    return loss, gradients, states


def _after(scope: Any, variable: Any, before: Any) -> Any:
    value = scope.get_current_value(variable)
    return before if value is None else value


def _update(
    model: keras.Model, strategy: Any, loss: Any, gradients: Any, norm: Any, states: Any
) -> None:
    """Runs once, for all devices; each value holds one of every device."""
    optimizer = model.optimizer

    def update(gradients: Any, variables: list[Any]) -> None:
        for gradient, variable in zip(gradients, variables, strict=True):
            strategy.extended.update(variable.value, one_variable, args=(gradient,), group=False)
        optimizer.iterations.assign_add(1)

    def one_variable(variable: Any, gradient: Any) -> None:
        optimizer.update_step(gradient, variable, None)

    model._loss_tracker.update_state(_first(strategy, loss))
    norm = _first(strategy, norm)
    optimizer.apply_clipped(gradients, norm, model.trainable_variables, update)
    for variable, state in zip(model.non_trainable_variables, states, strict=True):
        variable.assign(_first(strategy, state))


def _first(strategy: Any, value: Any) -> Any:
    return strategy.experimental_local_results(value)[0]
