"""Batches of preferences: a pure function of (seed, step). A pair has two rows: the better answer, then the other.

In: encoded pairs, how probable the base holds each answer. Out: for any step ((ids, positions), (targets, weights,
reference)).

Axes: R rows, two for each pair; T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kgpt.text.answer_rows import AnswerRow
from kgpt.text.text_rows import filled_length
from kgpt.training.example_batches import epoch_order
from kgpt.training.step_batches import Array


@dataclass(frozen=True, eq=False)
class PairBatches:
    """Batches of rows, chosen and rejected in turns."""

    rows: Sequence[AnswerRow]
    """Of each pair its chosen and its rejected conversation."""
    reference: Sequence[float]
    """The base's log-likelihood of each row's answer, nats."""
    batch_size: int
    """Pairs of a batch."""
    longest: int
    seed: int
    filling: int

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        """Of the longer row of each pair."""
        each = [len(row.inputs) for row in self.rows]
        return tuple(map(max, each[::2], each[1::2]))

    @property
    def batches_per_epoch(self) -> int:
        """Batches that see every pair once; the last one of an epoch may have empty rows."""
        return -(-len(self._lengths) // self.batch_size)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every pair is seen once."""
        return float(self.batches_per_epoch)

    @property
    def arrays(self) -> Any:
        """Shapes and types of a batch; batches differ in length."""
        size = 2 * self.batch_size
        ids = Array((size, None), "int32")
        return (ids, ids), (ids, Array((size, None), "float32"), Array((size,), "float32"))

    def tokens_until(self, step: int) -> int:
        """Tokens that the first `step` batches hold, filling left out."""
        epochs, rest = divmod(step, self.batches_per_epoch)
        order = self._order(epochs)[:rest] if rest else []
        lengths = [len(row.inputs) for row in self.rows]
        part = sum(lengths[2 * pair] + lengths[2 * pair + 1] for batch in order for pair in batch)
        return epochs * sum(lengths) + part

    def at(self, step: int) -> Any:
        """The batch of a step."""
        epoch, place = divmod(step, self.batches_per_epoch)
        return self.batch(self._order(epoch)[place])

    def batch(self, pairs: Sequence[int]) -> Any:
        """The batch of these pairs; those missing are filling, which counts nothing."""
        time = filled_length(max(self._lengths[pair] for pair in pairs), self.longest)
        shape = 2 * self.batch_size, time
        ids, targets = (np.full(shape, self.filling, "int32") for _ in range(2))
        weights = np.zeros(shape, "float32")
        reference = np.zeros(shape[0], "float32")
        chosen = [row for pair in pairs for row in (2 * pair, 2 * pair + 1)]
        for place, index in enumerate(chosen):
            row = self.rows[index]
            part = np.s_[place, : len(row.inputs)]
            ids[part], targets[part], weights[part] = row
            reference[place] = self.reference[index]
        positions = np.broadcast_to(np.arange(time, dtype="int32"), shape)
        return (ids, positions), (targets, weights, reference)

    def in_turn(self) -> Iterator[list[int]]:
        """The pairs of batches that hold each once, similar lengths together: for measuring."""
        order = sorted(range(len(self._lengths)), key=lambda pair: -self._lengths[pair])
        for first in range(0, len(order), self.batch_size):
            yield order[first : first + self.batch_size]

    def from_step(self, step: int, part: int = 0, parts: int = 1) -> Iterator[Any]:
        """The endless sequence of batches that begins at `step`; `part` of `parts` of their rows."""
        size = 2 * (self.batch_size // parts)
        mine = slice(part * size, (part + 1) * size)
        while True:
            (ids, positions), (targets, weights, reference) = self.at(step)
            yield (ids[mine], positions[mine]), (targets[mine], weights[mine], reference[mine])
            step += 1

    def _order(self, epoch: int) -> list[list[int]]:
        return epoch_order(self._lengths, self.batch_size, self.seed, epoch)
