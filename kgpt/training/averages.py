"""The averaged weights in the place of the trained ones, for as long as a block lasts.

In: a compiled model whose optimiser keeps averages. Out: the same model, before and after unchanged to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Inside the block the model computes with its averaged weights."""
    trained = [np.array(weight) for weight in model.trainable_variables]
    try:
        for weight, average in zip(
            model.trainable_variables, model.optimizer.averages, strict=True
        ):
            weight.assign(average)
        yield
    finally:
        for weight, value in zip(model.trainable_variables, trained, strict=True):
            weight.assign(value)
