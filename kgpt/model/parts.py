"""Small layers that the others are made of: matrices with GPT-2's initial weights, and norms.

A matrix can have an adapter put beside it.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from kgpt.model.dropout import dropout, seed_from_state

INITIAL_STANDARD_DEVIATION = 0.02


def norm_layer(kind: str, epsilon: float, bias: bool, name: str, dtype: Any) -> keras.layers.Layer:
    """LayerNorm (`layer`, with or without shift) or RMSNorm (`rms`); both compute in float32."""
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon, name=name, dtype=dtype)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=bias, name=name, dtype=dtype)


@keras.saving.register_keras_serializable(package="kgpt")
class AdaptableDense(keras.layers.Dense):
    """A dense layer that can get a low-rank adapter: x W becomes x W + scale * drop(x) A B (see `model.lora`).

    Keras' own `enable_lora` adds A B to W in every step, as large as W and with a gradient of that size, and drops
    nothing.
    """

    adapter_scale = 0.0
    """Zero as long as there is no adapter."""

    def add_adapter(self, rank: int, scale: float, dropout_rate: float) -> None:
        """Create A (I, R), uniform in +-1 / sqrt(I), and B (R, O), zero; the layer must be built."""
        inputs, outputs = self.kernel.shape
        bound = 1.0 / math.sqrt(inputs)
        uniform = keras.initializers.RandomUniform(-bound, bound)
        self._tracker.unlock()  # as Keras does for its own adapters: the layer is built already
        self.adapter_down = self.add_weight(
            (inputs, rank), initializer=uniform, name="adapter_down"
        )
        self.adapter_up = self.add_weight((rank, outputs), initializer="zeros", name="adapter_up")
        self.adapter_dropout = dropout_rate
        if dropout_rate:
            self.seed_generator = keras.random.SeedGenerator()
        self._tracker.lock()
        self.adapter_scale = scale

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The layer's output, adapter included."""
        result = super().call(inputs)
        if not self.adapter_scale:
            return result
        if training and self.adapter_dropout:
            seed = seed_from_state(self.seed_generator.next())
            inputs = dropout(inputs, self.adapter_dropout, seed)
        small = ops.matmul(inputs, ops.cast(self.adapter_down, inputs.dtype))
        return result + self.adapter_scale * ops.matmul(
            small, ops.cast(self.adapter_up, inputs.dtype)
        )


def dense_layer(
    units: int,
    bias: bool,
    name: str,
    dtype: Any,
    standard_deviation: float = INITIAL_STANDARD_DEVIATION,
) -> AdaptableDense:
    """A dense layer whose kernel starts as N(0, standard_deviation)."""
    return AdaptableDense(
        units,
        use_bias=bias,
        kernel_initializer=keras.initializers.RandomNormal(stddev=standard_deviation),
        name=name,
        dtype=dtype,
    )
