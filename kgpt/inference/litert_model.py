"""A converted model in LiteRT: its graphs, its embeddings, and arrays that graphs read where they lie.

Axes: C channels, D channels of a head, N tokens, T positions, V vocabulary.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.config import ModelConfig
from kgpt.inference.litert_shapes import shapes_for

Array = NDArray[Any]
ALIGNMENT = 64
"""Bytes; what LiteRT asks of memory that it reads in place."""


class LiteRTModel:
    """A converted model, its graphs compiled as they are needed.

    `token_embedding` gives the rows (N, C) of N ids, `position_embedding` is a table (T, C) or None.
    """

    def __init__(
        self,
        file: Path,
        token_embedding: Any,
        position_embedding: Array | None,
        config: ModelConfig,
        packed_weights: Path | None = None,
    ) -> None:
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options

        cpu = CpuOptions(
            num_threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
            xnnpack_weight_cache_path="" if packed_weights is None else str(packed_weights),
        )
        self._compiled = CompiledModel.from_file(str(file), options=Options(cpu_options=cpu))
        self.config, self.shapes = config, shapes_for(config.context_length)
        self._tokens, self._positions = token_embedding, position_embedding
        half = config.head_dim // 2
        frequency = np.exp(np.arange(half) * (-math.log(config.rotary_base) / half))
        angle = np.arange(config.context_length)[:, None] * frequency
        self._turns = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)

    def vectors(self, tokens: Sequence[int], positions: Sequence[int]) -> Array:
        """What the first block reads (N, C)."""
        x_NC = self._tokens(tokens)
        return np.asarray(
            x_NC if self._positions is None else x_NC + self._positions[list(positions)]
        )

    def turns(self, positions: Sequence[int]) -> tuple[Array, Array] | None:
        """Cosines and sines of rotary positions (N, D / 2)."""
        if self.config.positions != "rotary":
            return None
        cos, sin = self._turns
        return cos[list(positions)], sin[list(positions)]

    def call(self, name: str, inputs: dict[str, Any], outputs: dict[str, Any]) -> None:
        """Run a graph on buffers."""
        self._compiled.run_by_name(name, inputs, outputs)


class Arrays:
    """Named arrays that a graph reads or writes where they lie."""

    def __init__(self, **shapes: tuple[int, ...]) -> None:
        self.arrays: dict[str, Array] = {}
        self.buffers: dict[str, Any] = {}
        for name, shape in shapes.items():
            self.add(name, aligned(shape, np.int32 if name == "last" else np.float32))

    def add(self, name: str, array: Array) -> None:
        """Take an aligned array."""
        from ai_edge_litert.tensor_buffer import TensorBuffer

        self.arrays[name] = array  # LiteRT holds no reference
        self.buffers[name] = TensorBuffer.create_from_host_memory(array.reshape(-1))

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


def aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros at an address that LiteRT reads in place."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.asarray(raw[start : start + size].view(dtype).reshape(shape))
