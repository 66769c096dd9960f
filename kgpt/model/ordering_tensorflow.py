"""TensorFlow's order of operations: control dependencies, loops whose turns do not overlap. See `ordering`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def after(values: Any, earlier: Any) -> Any:
    """`values`, after `earlier`."""
    with tf.control_dependencies([earlier]):
        return tf.nest.map_structure(tf.identity, values)


def in_turn(step: Callable[..., Any], carry: Any, parts: Any, like: Any) -> tuple[Any, Any]:
    """`step` for each piece of the parts."""
    count = parts[0].shape[0]
    count = tf.shape(parts[0])[0] if count is None else count
    results = tf.TensorArray(like.dtype, size=count, element_shape=like.shape)

    def turn(index: Any, carry: Any, results: Any) -> tuple[Any, Any, Any]:
        carry, result = step(carry, [part[index] for part in parts])
        return index + 1, carry, results.write(index, result)

    _, carry, results = tf.while_loop(
        lambda index, *_: index < count,
        turn,
        (tf.constant(0), carry, results),
        parallel_iterations=1,
    )
    return carry, results.stack()
