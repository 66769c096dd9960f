"""Order where the data alone gives none, so that a graph's pieces do not all hold memory at once.

In: pieces of a computation. Out: the same results, one piece after the other. TensorFlow runs what is ready in any
order and several operations at once; pieces that do not need each other then keep all their intermediate results at
the same time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def after(values: Any, earlier: Any) -> Any:
    """`values` (a tensor or a list of them), to be computed with after `earlier` is there; the numbers are the same."""
    if earlier is None:
        return values
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from kgpt.model.ordering_tensorflow import after as kernel

        return kernel(values, earlier)
    if backend == "jax":
        from kgpt.model.ordering_jax import after as kernel

        return kernel(values, earlier)
    return values


Step = Callable[[Any, Any], tuple[Any, Any]]
"""(what is carried, one piece of each part) to (what is carried on, a tensor)."""


def in_turn(step: Step, carry: Any, parts: Any, like: Any) -> tuple[Any, Any]:
    """`step` for each piece of the `parts` (tensors of equal first axis): what is carried in the end, all results.

    A result has the shape (but for unknown sizes) and type of `like`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from kgpt.model.ordering_tensorflow import in_turn as kernel

        return kernel(step, carry, parts, like)
    if backend == "jax":
        from kgpt.model.ordering_jax import in_turn as kernel

        return kernel(step, carry, parts, like)
    results = []
    for index in range(parts[0].shape[0]):
        carry, result = step(carry, [part[index] for part in parts])
        results.append(result)
    return carry, ops.stack(results)
