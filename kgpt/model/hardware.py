"""The GPUs that Keras' backend would compute on: nothing in, names such as `gpu:0` out."""

from __future__ import annotations

import keras


def gpus() -> list[str]:
    """Names of the GPUs; empty where there are none. JAX raises an error when it is asked for GPUs that it lacks."""
    return [name for name in keras.distribution.list_devices() if name.startswith("gpu")]
