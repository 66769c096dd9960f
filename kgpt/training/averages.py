"""The averaged weights in the place of the trained ones, for as long as a block lasts.

In: a compiled model whose optimiser keeps averages. Out: the same model, before and after unchanged to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Inside the block the model computes with its averaged weights."""
    trained = [_kept(weight) for weight in model.trainable_variables]
    try:
        for weight, average in zip(
            model.trainable_variables, model.optimizer.averages, strict=True
        ):
            weight.assign(average.value)
        yield
    finally:
        for weight, value in zip(model.trainable_variables, trained, strict=True):
            weight.assign(value)


def _kept(weight: Any) -> Any:
    """The value that a weight has now. JAX's do not change, and stay where their devices have them."""
    return weight.value if keras.backend.backend() == "jax" else np.array(weight)
