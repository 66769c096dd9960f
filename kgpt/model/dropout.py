"""Dropout whose mask is a pure function of a seed, so that it can be computed again in the backward pass.

In: values and a seed. Out: the values with some set to zero and the others scaled up. Keras' own dropout draws from a
state that moves on with every draw: a forward pass that is repeated would see another mask.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

WEYL = 0x9E3779B9
"""2**32 divided by the golden ratio: multiples of it are spread evenly over the 32-bit numbers."""


def seed_from_state(state_2: Any) -> Any:
    """One uint32 from the two integers that a `keras.random.SeedGenerator` gives."""
    first, second = ops.cast(state_2[0], "uint32"), ops.cast(state_2[1], "uint32")
    return mix(ops.bitwise_xor(mix(first), second * _uint32(WEYL)))


def derived(seed: Any, place: int) -> Any:
    """The seed of one of several places that share `seed`."""
    return mix(seed + _uint32((place + 1) * WEYL % 2**32))


def dropout(x: Any, rate: float, seed: Any) -> Any:
    """Set each value to zero with probability `rate`, and divide the others by `1 - rate`; x may have any shape.

    `seed` is a uint32 scalar, or None for no dropout.
    """
    if not rate or seed is None:
        return x
    shape = tuple(x.shape)
    if None in shape:
        shape = ops.shape(x)
    return ops.where(kept(shape, rate, seed), x / (1.0 - rate), ops.zeros_like(x))


def kept(shape: Any, rate: float, seed: Any) -> Any:
    """Bools of a shape of fewer than 2**32 values, each True with probability `1 - rate`."""
    count = (
        math.prod(shape) if all(isinstance(n, int) for n in shape) else ops.prod(ops.stack(shape))
    )
    bits = mix(ops.cast(ops.arange(count), "uint32") * _uint32(WEYL) + seed)
    return ops.reshape(bits >= _uint32(round(rate * 2**32)), shape)


def mix(bits: Any) -> Any:
    """A permutation of the uint32 numbers that scatters neighbours (Wellons, 2018, hash-prospector, `lowbias32`)."""
    bits = ops.bitwise_xor(bits, ops.right_shift(bits, _uint32(16)))
    bits = bits * _uint32(0x7FEB352D)
    bits = ops.bitwise_xor(bits, ops.right_shift(bits, _uint32(15)))
    bits = bits * _uint32(0x846CA68B)
    return ops.bitwise_xor(bits, ops.right_shift(bits, _uint32(16)))


def _uint32(value: int) -> Any:
    return ops.convert_to_tensor(value, "uint32")
