"""How much of the machine a run uses: its floating-point operations a second over those of bare matrix products.

In: a model's configuration and its tokens a second. Out: the share (model FLOPs utilisation, Chowdhery et al., 2022,
arXiv:2204.02311, appendix B), against what this machine was measured to reach in the run's precision.
"""

from __future__ import annotations

import functools
import os
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kgpt.config import TrainConfig
from kgpt.errors import KgptFailure
from kgpt.files import is_number, read_json, write_json
from kgpt.model.hardware import gpus
from kgpt.model.size import training_flops_per_token

LARGEST_SIZE = 8192
LONG_ENOUGH = 0.02
"""Seconds of one product that is timed: shorter ones measure how fast a call is."""
REPEATS = 5


def utilization(config: TrainConfig, tokens_per_second: float, flops: float) -> float:
    """Share of `flops` (a second) that training this model at this speed makes use of."""
    return tokens_per_second * training_flops_per_token(config.model) / flops


@functools.cache
def matrix_product_rate(precision: str) -> float:
    """Floating-point operations a second of matrix products on Keras' device: the most that was ever measured here.

    Takes a fraction of a second. Other processes at work make a measurement too low, so the highest one is kept.
    """
    path = cache_folder() / "matrix-products.json"
    known: dict[str, Any] = read_json(path)
    key = " ".join((platform.node(), keras.backend.backend(), _device(), precision))
    before: Any = known.get(key)
    rate = max(measured_rate(precision), float(before) if is_number(before) else 0.0)
    with suppress(KgptFailure, OSError):  # a cache that cannot be written is none
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {**known, key: rate})
    return rate


def cache_folder() -> Path:
    """Where kgpt keeps what it can find out again: `XDG_CACHE_HOME` or `~/.cache`, and `kgpt` in it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgpt"


def measured_rate(precision: str) -> float:
    """The fastest of a few products of two square matrices, as large as it takes to time them."""
    size = 512
    seconds = _seconds(size, precision, 2)
    while seconds < LONG_ENOUGH and size < LARGEST_SIZE:
        size *= 2
        seconds = _seconds(size, precision, 2)
    return 2.0 * size**3 / min(seconds, _seconds(size, precision, REPEATS))


def _seconds(size: int, precision: str, repeats: int) -> float:
    from kgpt.inference.compiled import compiled

    random = np.random.default_rng(0).standard_normal((size, size), dtype="float32")
    matrix = keras.ops.cast(keras.ops.convert_to_tensor(random), precision)
    # one number comes back instead of the matrix, so that waiting for it moves nothing
    product = compiled(
        lambda x: keras.ops.cast(keras.ops.max(keras.ops.matmul(x, x)), "float32"), []
    )
    best = float("inf")
    for _ in range(repeats + 1):
        start = time.perf_counter()
        np.asarray(keras.ops.convert_to_numpy(product(matrix)))
        best = min(best, time.perf_counter() - start)
    return best


def _device() -> str:
    found = gpus()
    return found[0] if found else f"{platform.machine()} {os.cpu_count()}"
