"""Rows that LiteRT decodes together, with their keys and values. Each has its own length, and may be free.

Axes: B rows, P places of a prompt, S places of the cache, C channels, K key and value heads, D channels of a head, L
layers, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np

from kgpt.inference.litert_model import Array, Arrays, LiteRTModel
from kgpt.inference.litert_shapes import (
    HIDDEN,
    decode_name,
    extend_name,
    prefill_name,
    together_name,
)

NEW = ("x", "cos", "sin")
"""The inputs that belong to the tokens that are read, and not to those before them."""


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
        model = self.model
        self.places = min(size for size in model.shapes.sizes if size >= length)
        name = decode_name(self.count, self.places)
        self.inputs, self.outputs = model.inputs(name), model.outputs(name)
        self.inputs["mask"][:] = HIDDEN
        self.cache = self._cache_in(self.inputs)

    def _cache_in(self, inputs: Arrays) -> list[tuple[Array, Array]]:
        """Keys and values, layer by layer."""
        layers = range(self.model.config.num_layers)
        return [(inputs[f"k{layer}"], inputs[f"v{layer}"]) for layer in layers]

    # === Prompts ===

    def _read_part(self, row: int, part: list[int], start: int, places: int) -> Array:
        model, positions = self.model, range(start, start + len(part))
        name = extend_name(places, model.config.context_length) if start else prefill_name(places)
        inputs, outputs = model.inputs(name), model.outputs(name)
        inputs["x"][: len(part)] = model.vectors(part, positions)
        inputs["last"][...] = len(part) - 1
        self._turn(inputs, range(len(part)), positions)
        if start:
            self._add_past(inputs, row, start)
        model.call(name, inputs.buffers, outputs.buffers)
        self._keep(row, start, len(part), outputs)
        return np.asarray(outputs["logits"][0])

    def _read_together(self, part: list[int]) -> Array:
        model, places = self.model, self.model.shapes.together
        start, end = self.lengths[0], self.lengths[0] + len(part)
        name = together_name(places, self.places)
        inputs, outputs = model.inputs(name, among=NEW), model.outputs(name)
        inputs["x"][: len(part)] = model.vectors(part, range(start, end))
        self._turn(inputs, range(len(part)), range(start, end))
        model.call(name, {**self.inputs.buffers, **inputs.buffers}, outputs.buffers)
        self._keep(0, start, len(part), outputs)
        self.lengths[0] = end
        self.inputs["mask"][0, start:end] = 0.0
        return np.asarray(outputs["logits"][: len(part)])

    def _keep(self, row: int, start: int, count: int, outputs: Arrays) -> None:
        for layer, (k, v) in enumerate(self.cache):
            k[row, :, start : start + count] = outputs["keys"][layer, :, :count]
            v[row, :, :, start : start + count] = outputs["values"][layer, :, :, :count]

    def _add_past(self, inputs: Arrays, row: int, start: int) -> None:
        inputs["mask"][0, start:] = HIDDEN
        pairs = zip(self._cache_in(inputs), self.cache, strict=True)
        for (past_k, past_v), (k, v) in pairs:
            past_k[0, :, :start] = k[row, :, :start]
            past_v[0, :, :, :start] = v[row, :, :, :start]

    def _turn(self, inputs: Arrays, places: Sequence[int], positions: Sequence[int]) -> None:
        turns = self.model.turns(positions)
        if turns is not None:
            inputs["cos"][list(places)], inputs["sin"][list(places)] = turns
