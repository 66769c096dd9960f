"""Rows that LiteRT decodes together, with their keys and values. Each has its own length, and may be free.

Axes: B rows, P places of a prompt, S places of the cache, C channels, K key and value heads, D channels of a head, L
layers, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from kgpt.config import ModelConfig
from kgpt.inference.litert_model import Array, Arrays, LiteRTModel, aligned
from kgpt.inference.litert_shapes import (
    HIDDEN,
    decode_name,
    extend_name,
    prefill_name,
    together_name,
)


class Rows:
    """As many rows as a graph has, each taken by a text or free."""

    def __init__(self, model: LiteRTModel, count: int, length: int) -> None:
        self.model, self.count = model, count
        self.lengths = [0] * self.count
        """Tokens of each row; 0 if it is free."""
        self._make(length)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths)

    @property
    def free(self) -> list[int]:
        """The rows that no text has."""
        return [row for row, length in enumerate(self.lengths) if not length]

    def read(self, row: int, prompt: Sequence[int]) -> Array:
        """Fill a free row with a prompt; scores (V,) after it."""
        shapes, start = self.model.shapes, 0
        logits: Array = np.zeros(0, dtype=np.float32)
        self.reserve(len(prompt))
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

    def step(self, tokens: Mapping[int, int]) -> Array:
        """Scores (N, V) after one more token for each of N rows, in the order of `tokens`."""
        chosen, lengths = list(tokens), [self.lengths[row] for row in tokens]
        self.reserve(max(lengths) + 1)
        inputs, model = self.inputs, self.model
        inputs["x"][chosen] = model.vectors(list(tokens.values()), lengths)
        self._turn(inputs, chosen, lengths)
        name = decode_name(self.count, self.places)
        model.call(name, inputs.buffers, self.outputs.buffers)
        keys, values = self.outputs["keys"], self.outputs["values"]
        for layer, (k, v) in enumerate(self.cache):
            k[chosen, :, lengths] = keys[layer, chosen]
            v[chosen, :, :, lengths] = values[layer, chosen]
        inputs["mask"][chosen, lengths] = 0.0
        for row in chosen:
            self.lengths[row] += 1
        return np.asarray(self.outputs["logits"][chosen])

    def extend(self, tokens: Sequence[int]) -> Array:
        """Scores (N, V) after each of N more tokens of the only row."""
        most, length = self.model.shapes.together, max(self.longest + len(tokens), self.places)
        self.reserve(min(size for size in self.model.shapes.together_sizes if size >= length))
        parts = [tokens[first : first + most] for first in range(0, len(tokens), most)]
        return np.concatenate([self._read_together(list(part)) for part in parts])

    def cut(self, length: int) -> None:
        """Forget what the only row holds beyond so many tokens."""
        self.lengths[0] = min(self.lengths[0], length)
        self.inputs["mask"][0, self.lengths[0] :] = HIDDEN

    def leave(self, row: int) -> None:
        """Free a row."""
        self.lengths[row] = 0
        self.inputs["mask"][row] = HIDDEN

    def take(self, row: int, other: Rows, other_row: int) -> None:
        """Fill a free row with a copy of another's."""
        length = other.lengths[other_row]
        self.reserve(length)
        for (k, v), (other_k, other_v) in zip(self.cache, other.cache, strict=True):
            k[row, :, :length] = other_k[other_row, :, :length]
            v[row, :, :, :length] = other_v[other_row, :, :, :length]
        self.inputs["mask"][row, :length] = 0.0
        self.lengths[row] = length

    # === The cache ===

    def reserve(self, length: int) -> None:
        """Move into larger arrays if these have no place for so many tokens a row."""
        if length <= self.places:
            return
        old = copy.copy(self)
        self.lengths = [0] * self.count
        self._make(length)
        for row, taken in enumerate(old.lengths):
            if taken:
                self.take(row, old, row)

    def _make(self, length: int) -> None:
        model, c = self.model, self.model.config
        self.places = min(size for size in model.shapes.sizes if size >= length)
        rows, places = self.count, self.places
        self.inputs = Arrays(x=(rows, c.width), mask=(rows, places), **_turn_shapes(c, rows))
        self.inputs["mask"][:] = HIDDEN
        self.cache = []
        for layer in range(c.num_layers):
            k = aligned((rows, c.kv_heads, places, c.head_dim))
            v = aligned((rows, c.kv_heads, c.head_dim, places))
            self.inputs.add(f"k{layer}", k)
            self.inputs.add(f"v{layer}", v)
            self.cache.append((k, v))
        new = (c.num_layers, rows, c.kv_heads, c.head_dim)
        self.outputs = Arrays(logits=(rows, c.vocabulary_size), keys=new, values=new)

    # === Prompts ===

    def _read_part(self, row: int, part: list[int], start: int, places: int) -> Array:
        c, model = self.model.config, self.model
        positions = range(start, start + len(part))
        shapes: dict[str, tuple[int, ...]] = {"x": (places, c.width), "last": (1,)}
        inputs = Arrays(**shapes, **_turn_shapes(c, places))
        inputs["x"][: len(part)] = model.vectors(part, positions)
        inputs["last"][...] = len(part) - 1
        self._turn(inputs, range(len(part)), positions)
        name = prefill_name(places)
        if start:
            name = extend_name(places, c.context_length)
            self._add_past(inputs, row, start)
        outputs = self._outputs(places, (c.vocabulary_size,))
        model.call(name, inputs.buffers, outputs.buffers)
        self._keep(row, start, len(part), outputs)
        return outputs["logits"]

    def _read_together(self, part: list[int]) -> Array:
        c, model, places = self.model.config, self.model, self.model.shapes.together
        start, end = self.lengths[0], self.lengths[0] + len(part)
        inputs = Arrays(x=(places, c.width), **_turn_shapes(c, places))
        inputs["x"][: len(part)] = model.vectors(part, range(start, end))
        self._turn(inputs, range(len(part)), range(start, end))
        outputs = self._outputs(places, (places, c.vocabulary_size))
        name = together_name(places, self.places)
        model.call(name, {**self.inputs.buffers, **inputs.buffers}, outputs.buffers)
        self._keep(0, start, len(part), outputs)
        self.lengths[0] = end
        self.inputs["mask"][0, start:end] = 0.0
        return np.asarray(outputs["logits"][: len(part)])

    def _outputs(self, places: int, logits: tuple[int, ...]) -> Arrays:
        c = self.model.config
        heads = (c.num_layers, c.kv_heads)
        return Arrays(
            logits=logits,
            keys=(*heads, places, c.head_dim),
            values=(*heads, c.head_dim, places),
        )

    def _keep(self, row: int, start: int, count: int, outputs: Arrays) -> None:
        for layer, (k, v) in enumerate(self.cache):
            k[row, :, start : start + count] = outputs["keys"][layer, :, :count]
            v[row, :, :, start : start + count] = outputs["values"][layer, :, :, :count]

    def _add_past(self, inputs: Arrays, row: int, start: int) -> None:
        c = self.model.config
        mask = aligned((c.context_length,))
        mask[start:] = HIDDEN
        inputs.add("mask", mask)
        for layer, (k, v) in enumerate(self.cache):
            past_k = aligned((1, c.kv_heads, c.context_length, c.head_dim))
            past_v = aligned((1, c.kv_heads, c.head_dim, c.context_length))
            past_k[0, :, :start] = k[row, :, :start]
            past_v[0, :, :, :start] = v[row, :, :, :start]
            inputs.add(f"k{layer}", past_k)
            inputs.add(f"v{layer}", past_v)

    def _turn(self, inputs: Arrays, places: Sequence[int], positions: Sequence[int]) -> None:
        turns = self.model.turns(positions)
        if turns is not None:
            inputs["cos"][list(places)], inputs["sin"][list(places)] = turns


def _turn_shapes(c: ModelConfig, count: int) -> dict[str, tuple[int, ...]]:
    if c.positions != "rotary":
        return {}
    return {name: (count, c.head_dim // 2) for name in ("cos", "sin")}
