"""Decoding on a CPU through LiteRT: token ids in, the scores of the next token out. Needs no TensorFlow and no Keras.

The file that `kgpt.inference.litert_convert` writes holds a graph for each size. Embeddings are looked up here, in the
checkpoint's own file, and keys and values lie in arrays that the graphs read where they are. Every row has its own
length, so uneven prompts cost no padding.

Axes: B rows of a group, P places of a prompt, S places of the cache, C channels, K key and value heads, D channels of a
head, L layers, V vocabulary.
"""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.config import ModelConfig
from kgpt.inference.context import check_prompts, no_place
from kgpt.inference.litert_shapes import (
    decode_name,
    extend_name,
    prefill_name,
    shapes_for,
)

Array = NDArray[Any]
HIDDEN = -1e9
"""Score of a place that holds nothing."""
ALIGNMENT = 64
"""Bytes; what LiteRT asks of memory that it reads in place."""


class LiteRTDecoder:
    """Continues B rows of tokens with a converted model; a `kgpt.inference.context.Decoder`.

    Example:
        >>> decoder = LiteRTDecoder(LiteRTModel(file, embedding, config))
        >>> decoder.prefill([[1, 2, 3], [4]]).shape
        (2, 4096)
        >>> decoder.step([5, 6]).shape
        (2, 4096)
    """

    def __init__(self, model: LiteRTModel) -> None:
        self.context_length = model.config.context_length
        self.vocabulary_size = model.config.vocabulary_size
        self.size = self.context_length
        """Tokens that a row may grow to."""
        self._model = model
        self._rows = 0
        self._groups: list[_Group] = []

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return max((group.longest for group in self._groups), default=0)

    def fresh(self) -> LiteRTDecoder:
        """A decoder with a cache of its own that shares the model."""
        return LiteRTDecoder(self._model)

    def branch(self) -> LiteRTDecoder:
        """A decoder that goes on from here, with a copy of the cache."""
        other = copy.copy(self)
        other._groups = [group.selected(range(group.rows)) for group in self._groups]
        return other

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; one may come several times."""
        places = [(group, row) for group in self._groups for row in range(group.rows)]
        chosen = [places[row] for row in rows]
        self._groups = [_Group.of(self._model, part) for part in self._model.split(chosen)]
        self._rows = len(chosen)

    def prefill(self, prompts: Sequence[Sequence[int]], size: int | None = None) -> Array:
        """Scores (B, V) after each prompt. What was decoded before is forgotten.

        `size` is the number of tokens that the rows may grow to, the context by default.

        Raises:
            KgptError: a prompt is empty or longer than the context, or holds an id that the model does not know.
        """
        check_prompts(prompts, self.context_length, self.vocabulary_size)
        self.size = self.context_length if size is None else max(size, max(map(len, prompts)))
        self._rows = len(prompts)
        self._groups, logits = [], []
        for part in self._model.split(list(prompts)):
            group = _Group(self._model, len(part), max(map(len, part)))
            logits += [group.read(row, prompt) for row, prompt in enumerate(part)]
            self._groups.append(group)
        return np.stack(logits)

    def step(self, tokens: Sequence[int]) -> Array:
        """Scores (B, V) after one more token for each row.

        Raises:
            KgptError: nothing was prefilled, another number of rows was, or the cache is full.
        """
        if len(tokens) != self._rows or not 0 < self.length < self.size:
            raise no_place(self._rows, len(tokens), self.length, self.size)
        logits, first = [], 0
        for group in self._groups:
            logits.append(group.step(tokens[first : first + group.rows]))
            first += group.rows
        return np.concatenate(logits)


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

    def split(self, items: list[Any]) -> list[list[Any]]:
        """Items in groups, as many as the graphs have rows."""
        most = max(self.shapes.rows)
        return [items[first : first + most] for first in range(0, len(items), most)]

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
            self.add(name, _aligned(shape, np.int32 if name == "last" else np.float32))

    def add(self, name: str, array: Array) -> None:
        """Take an aligned array."""
        from ai_edge_litert.tensor_buffer import TensorBuffer

        self.arrays[name] = array  # LiteRT holds no reference
        self.buffers[name] = TensorBuffer.create_from_host_memory(array.reshape(-1))

    def __getitem__(self, name: str) -> Array:
        return self.arrays[name]


class _Group:
    """Rows that are decoded together, with their cache."""

    def __init__(self, model: LiteRTModel, rows: int, length: int) -> None:
        self.model, self.rows = model, rows
        self.graph_rows = min(count for count in model.shapes.rows if count >= rows)
        self.lengths = [0] * rows
        self._make(length)

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @classmethod
    def of(cls, model: LiteRTModel, places: Sequence[tuple[_Group, int]]) -> _Group:
        """A group with copies of rows of others."""
        made = cls(model, len(places), max(group.lengths[row] for group, row in places))
        for new, (group, row) in enumerate(places):
            made._take(new, group, row)
        return made

    def selected(self, rows: Sequence[int]) -> _Group:
        """A group with copies of these rows."""
        return _Group.of(self.model, [(self, row) for row in rows])

    def read(self, row: int, prompt: Sequence[int]) -> Array:
        """Fill a row's cache with a prompt; scores (V,) after it."""
        shapes, start = self.model.shapes, 0
        logits: Array = np.zeros(0, dtype=np.float32)
        while start < len(prompt):
            left = len(prompt) - start
            if start == 0:
                places = min((p for p in shapes.prompts if p >= left), default=shapes.prompts[-1])
            else:
                places = shapes.extension
            part = list(prompt[start : start + places])
            logits = self._read_part(row, part, start, places)
            start += len(part)
        self.lengths[row] = len(prompt)
        self.inputs["mask"][row, : len(prompt)] = 0.0
        return logits

    def step(self, tokens: Sequence[int]) -> Array:
        """Scores (B, V) after one more token a row."""
        if self.longest == self.places:
            self._grow()
        inputs, model = self.inputs, self.model
        inputs["x"][: self.rows] = model.vectors(tokens, self.lengths)
        self._turn(inputs, self.lengths)
        name = decode_name(self.graph_rows, self.places)
        model.call(name, inputs.buffers, self.outputs.buffers)
        keys, values = self.outputs["keys"], self.outputs["values"]
        for row, length in enumerate(self.lengths):
            for layer, (k, v) in enumerate(self.cache):
                k[row, :, length] = keys[layer, row]
                v[row, :, :, length] = values[layer, row]
            inputs["mask"][row, length] = 0.0
            self.lengths[row] = length + 1
        return self.outputs["logits"][: self.rows].copy()

    # === The cache ===

    def _make(self, length: int) -> None:
        """Empty arrays for at least one token more than `length`, where the context has room."""
        model, c = self.model, self.model.config
        needed = min(length + 1, c.context_length)
        self.places = min(size for size in model.shapes.sizes if size >= needed)
        rows, places = self.graph_rows, self.places
        self.inputs = Arrays(x=(rows, c.width), mask=(rows, places), **_turn_shapes(c, rows))
        self.inputs["mask"][:] = HIDDEN
        self.cache = []
        for layer in range(c.num_layers):
            k = _aligned((rows, c.kv_heads, places, c.head_dim))
            v = _aligned((rows, c.kv_heads, c.head_dim, places))
            self.inputs.add(f"k{layer}", k)
            self.inputs.add(f"v{layer}", v)
            self.cache.append((k, v))
        new = (c.num_layers, rows, c.kv_heads, c.head_dim)
        self.outputs = Arrays(logits=(rows, c.vocabulary_size), keys=new, values=new)

    def _take(self, row: int, other: _Group, other_row: int) -> None:
        length = other.lengths[other_row]
        for (k, v), (other_k, other_v) in zip(self.cache, other.cache, strict=True):
            k[row, :, :length] = other_k[other_row, :, :length]
            v[row, :, :, :length] = other_v[other_row, :, :, :length]
        self.inputs["mask"][row, :length] = 0.0
        self.lengths[row] = length

    def _grow(self) -> None:
        """Move into larger arrays."""
        old = copy.copy(self)
        self._make(self.longest)
        for row in range(self.rows):
            self._take(row, old, row)

    # === Prompts ===

    def _read_part(self, row: int, part: list[int], start: int, places: int) -> Array:
        c, model = self.model.config, self.model
        positions = range(start, start + len(part))
        shapes: dict[str, tuple[int, ...]] = {"x": (places, c.width), "last": (1,)}
        inputs = Arrays(**shapes, **_turn_shapes(c, places))
        inputs["x"][: len(part)] = model.vectors(part, positions)
        inputs["last"][...] = len(part) - 1
        self._turn(inputs, positions)
        name = prefill_name(places)
        if start:
            name = extend_name(places, c.context_length)
            self._add_past(inputs, row, start)
        heads = (c.num_layers, c.kv_heads)
        outputs = Arrays(
            logits=(c.vocabulary_size,),
            keys=(*heads, places, c.head_dim),
            values=(*heads, c.head_dim, places),
        )
        model.call(name, inputs.buffers, outputs.buffers)
        for layer, (k, v) in enumerate(self.cache):
            k[row, :, start : start + len(part)] = outputs["keys"][layer, :, : len(part)]
            v[row, :, :, start : start + len(part)] = outputs["values"][layer, :, :, : len(part)]
        return outputs["logits"]

    def _add_past(self, inputs: Arrays, row: int, start: int) -> None:
        c = self.model.config
        mask = _aligned((c.context_length,))
        mask[start:] = HIDDEN
        inputs.add("mask", mask)
        for layer, (k, v) in enumerate(self.cache):
            past_k = _aligned((1, c.kv_heads, c.context_length, c.head_dim))
            past_v = _aligned((1, c.kv_heads, c.head_dim, c.context_length))
            past_k[0, :, :start] = k[row, :, :start]
            past_v[0, :, :, :start] = v[row, :, :, :start]
            inputs.add(f"k{layer}", past_k)
            inputs.add(f"v{layer}", past_v)

    def _turn(self, inputs: Arrays, positions: Sequence[int]) -> None:
        turns = self.model.turns(positions)
        if turns is not None:
            inputs["cos"][: len(positions)], inputs["sin"][: len(positions)] = turns


def _turn_shapes(c: ModelConfig, count: int) -> dict[str, tuple[int, ...]]:
    if c.positions != "rotary":
        return {}
    return {name: (count, c.head_dim // 2) for name in ("cos", "sin")}


def _aligned(shape: tuple[int, ...], dtype: Any = np.float32) -> Array:
    """Zeros at an address that LiteRT reads in place."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.zeros(size + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.asarray(raw[start : start + size].view(dtype).reshape(shape))
