"""A function of a model's variables, compiled by whichever backend Keras runs on.

In: a function of arrays, and the variables that it reads. Out: a function that does the same faster, one compilation
for each combination of shapes, and that sees the variables' current values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras


def compiled(
    function: Callable[..., Any],
    variables: Sequence[Any],
    *,
    jit_compile: bool = False,
    any_shape: bool = False,
) -> Callable[..., Any]:
    """`function`, compiled; its arguments are (nested) arrays, its result is (nested) tensors.

    TensorFlow builds a graph, without XLA unless `jit_compile` asks for it: on two CPU cores XLA compiles for seconds
    longer and makes the steps of a 124M-parameter model slower, but whole batches faster. With `any_shape` one graph
    serves sizes that differ from call to call, instead of one for each. A backend that is neither TensorFlow nor JAX
    runs the function as it is.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(  # type: ignore[no-any-return]
            function, autograph=False, jit_compile=jit_compile, reduce_retracing=any_shape
        )
    if backend == "jax":
        return _compiled_by_jax(function, variables)
    return function


def _compiled_by_jax(function: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    import jax

    @jax.jit  # type: ignore[untyped-decorator]
    def stateless(values: list[Any], *arguments: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return function(*arguments)

    return lambda *arguments: stateless([variable.value for variable in variables], *arguments)
