"""What Keras' backend computes with: names of the GPUs such as `gpu:0`, and how it takes its memory."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

import keras

M_ARENA_MAX = -8
"""An option of glibc's `mallopt`: how many heaps the threads share."""


def gpus() -> list[str]:
    """Names of the GPUs; empty where there are none. JAX raises an error when it is asked for GPUs that it lacks."""
    return [name for name in keras.distribution.list_devices() if name.startswith("gpu")]


def keep_memory() -> None:
    """Let the memory of one batch serve the next one; before anything is computed.

    TensorFlow's usual CPU allocator returns a batch's memory to the system and takes it anew for the next one, page by
    page: a third of a small model's time. The heaps of its threads, into which matrix products pack their operands, do
    the same.
    """
    if keras.backend.backend() != "tensorflow":
        return
    os.environ.setdefault("TF_CPU_ALLOCATOR_USE_BFC", "true")
    with suppress(OSError, AttributeError):  # a C library that is not GNU's
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
