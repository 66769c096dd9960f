"""Gradient accumulation: the update of a large batch, in the memory of a small one.

In: a compiled model and the number of parts. Out: the same model, whose `fit` cuts each batch into that many parts,
adds up their gradients inside one step, and updates once. A step of `fit` stays one update, one step of the schedule
and one loss; nothing half-done is left for a checkpoint.

Each part counts by the weights of its tokens (all alike without sample weights), as it does in the mean over the large
batch. Keras' own `gradient_accumulation_steps` averages the parts as equals, and counts schedule and average in parts.
"""

from __future__ import annotations

import functools
from typing import Any

import keras

from kgpt.errors import KgptError
from kgpt.language import _


def accumulate(model: keras.Model, parts: int) -> None:
    """Let `fit` work on `parts` pieces of each batch, one after another; 1 leaves Keras' own step.

    Raises:
        KgptError: the backend is neither TensorFlow nor JAX.
    """
    if parts == 1:
        return
    backend = keras.backend.backend()
    if backend == "tensorflow":
        from kgpt.training import accumulation_tensorflow as kernel
    elif backend == "jax":
        from kgpt.training import accumulation_jax as kernel  # type: ignore[no-redef]
    else:
        raise KgptError(
            _("No gradient accumulation"),
            _("Keras' backend {backend} cannot accumulate gradients here.", backend=backend),
            _("Use --gradient-accumulation 1, or KERAS_BACKEND=tensorflow or jax."),
        )
    step: Any = functools.partial(kernel.train_step, model, parts)
    object.__setattr__(model, "train_step", step)
