"""Small layers that the others are made of: matrices with GPT-2's initial weights, and norms."""

from __future__ import annotations

from typing import Any

import keras

INITIAL_STANDARD_DEVIATION = 0.02


def norm_layer(kind: str, epsilon: float, bias: bool, name: str, dtype: Any) -> keras.layers.Layer:
    """LayerNorm (`layer`, with or without shift) or RMSNorm (`rms`); both compute in float32."""
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon, name=name, dtype=dtype)
    return keras.layers.LayerNormalization(epsilon=epsilon, center=bias, name=name, dtype=dtype)


def dense_layer(
    units: int,
    bias: bool,
    name: str,
    dtype: Any,
    standard_deviation: float = INITIAL_STANDARD_DEVIATION,
) -> keras.layers.Dense:
    """A dense layer whose kernel starts as N(0, standard_deviation)."""
    return keras.layers.Dense(
        units,
        use_bias=bias,
        kernel_initializer=keras.initializers.RandomNormal(stddev=standard_deviation),
        name=name,
        dtype=dtype,
    )
