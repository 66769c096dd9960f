"""A converted model in LiteRT: its graphs, its embeddings, and arrays that graphs read where they lie.

Axes: C channels, D channels of a head, N tokens, T positions, V vocabulary.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.config import ModelConfig
from kgpt.errors import KgptFailure
from kgpt.inference.litert_shapes import shapes_for
from kgpt.language import _

Array = NDArray[Any]


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
        self._signatures = self._compiled.get_signature_list()
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

    def inputs(self, graph: str, among: Collection[str] | None = None) -> Arrays:
        """Zeros for a graph to read: all of its inputs, or those `among` some."""
        names = self._signatures[graph]["inputs"]
        make = self._compiled.create_input_buffer_by_name
        return Arrays({n: make(graph, n) for n in names if among is None or n in among})

    def outputs(self, graph: str) -> Arrays:
        """What a graph writes."""
        make = self._compiled.create_output_buffer_by_name
        return Arrays({name: make(graph, name) for name in self._signatures[graph]["outputs"]})

    def call(self, graph: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Run a graph on buffers."""
        self._compiled.run_by_name(graph, inputs, outputs)


class Arrays:
    """Named arrays in memory of LiteRT, which a graph reads or writes where they lie."""

    def __init__(self, buffers: dict[str, Any]) -> None:
        self.buffers = buffers
        self._arrays = {name: _array(buffer) for name, buffer in buffers.items()}

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]


class _Memory:
    """The memory of a buffer, which NumPy keeps as long as an array of it lives."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer
        details, address = buffer.get_tensor_details(), ctypes.c_void_p()
        status = _host_memory()(_pointer(buffer.capsule, _CAPSULE), ctypes.byref(address))
        if status:
            raise KgptFailure(
                _("No memory for decoding"),
                _("LiteRT gave none (status {status}).", status=status),
                _("Close other programs."),
            )
        self.__array_interface__ = {
            "version": 3,
            "data": (address.value, False),
            "shape": tuple(details["shape"]),
            "typestr": np.dtype(details["dtype"]).str,
        }


def _array(buffer: Any) -> Array:
    """A buffer as zeros that can be read and written; what LiteRT gives holds anything."""
    array = np.asarray(_Memory(buffer))
    array[...] = 0
    return array


@functools.lru_cache(maxsize=1)
def _host_memory() -> Any:
    """The function of LiteRT's C interface that tells where a buffer lies; its Python interface only copies."""
    import ai_edge_litert

    library = next(Path(ai_edge_litert.__path__[0]).glob("libLiteRt.*"))
    function = ctypes.CDLL(str(library)).LiteRtGetTensorBufferHostMemory
    function.argtypes = (ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p))
    return function


_CAPSULE = b"LiteRtTensorBuffer"
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
