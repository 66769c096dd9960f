"""Batches of conversations: a pure function of (seed, step), as those of a token stream are.

In: encoded conversations. Out: for any step its ((ids, positions), targets, weights). Packed, a row holds as many
conversations as fit, and none sees another: `GPT.hidden_states` says how. An epoch sees each conversation once.

Axes: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kgpt.text.answer_rows import AnswerRow
from kgpt.text.packing import packed
from kgpt.text.text_rows import filled_length
from kgpt.training.example_batches import epoch_order
from kgpt.training.step_batches import Array

Batch = tuple[tuple[Any, Any], Any, Any]


@dataclass(frozen=True, eq=False)
class AnswerBatches:
    """Batches of rows that hold conversations."""

    rows: Sequence[AnswerRow]
    batch_size: int
    longest: int
    """Tokens of a row at most; of each row, where rows are packed."""
    seed: int
    filling: int
    """Id behind the last conversation of a row; it counts nothing."""
    packs: bool = True

    @cached_property
    def members(self) -> list[list[int]]:
        """The conversations of each row."""
        if not self.packs:
            return [[index] for index in range(len(self.rows))]
        return packed([len(row.inputs) for row in self.rows], self.longest)

    @cached_property
    def lengths(self) -> list[int]:
        """Tokens of each row, filling left out."""
        return [sum(len(self.rows[index].inputs) for index in row) for row in self.members]

    @property
    def batches_per_epoch(self) -> int:
        """Batches that see every conversation once; the last one of an epoch may have empty rows."""
        return -(-len(self.members) // self.batch_size)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every conversation is seen once."""
        return float(self.batches_per_epoch)

    @property
    def arrays(self) -> Any:
        """Shapes and types of ((ids, positions), targets, weights); unpacked batches differ in length."""
        shape = (self.batch_size, self.longest if self.packs else None)
        ids = Array(shape, "int32")
        return (ids, ids), ids, Array(shape, "float32")

    def tokens_until(self, step: int) -> int:
        """Tokens that the first `step` batches hold, filling left out."""
        epochs, rest = divmod(step, self.batches_per_epoch)
        order = self._order(epochs)[:rest] if rest else []
        rest_tokens = sum(self.lengths[index] for batch in order for index in batch)
        return epochs * sum(self.lengths) + rest_tokens

    def at(self, step: int) -> Batch:
        """Ids and positions, targets and weights, all (B, T), of a step."""
        epoch, place = divmod(step, self.batches_per_epoch)
        return self.batch(self._order(epoch)[place])

    def batch(self, chosen: Sequence[int]) -> Batch:
        """The batch of these rows; those missing are filling."""
        longest = max(self.lengths[index] for index in chosen)
        time = self.longest if self.packs else filled_length(longest, self.longest)
        shape = self.batch_size, time
        ids, targets = (np.full(shape, self.filling, "int32") for _ in range(2))
        positions, weights = np.zeros(shape, "int32"), np.zeros(shape, "float32")
        for place, start, member in self.placed(chosen):
            row = self.rows[member]
            end = start + len(row.inputs)
            ids[place, start:end], targets[place, start:end] = row.inputs, row.targets
            positions[place, start:end] = np.arange(end - start)
            weights[place, start:end] = row.weights
        return (ids, positions), targets, weights

    def placed(self, chosen: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """Of each conversation in the batch of these rows: its row there, where it begins, its number."""
        for place, index in enumerate(chosen):
            start = 0
            for member in self.members[index]:
                yield place, start, member
                start += len(self.rows[member].inputs)

    def in_turn(self) -> Iterator[list[int]]:
        """The rows of batches that hold every conversation once, similar lengths together: for measuring."""
        by_length = sorted(range(len(self.members)), key=lambda index: -self.lengths[index])
        for first in range(0, len(by_length), self.batch_size):
            yield by_length[first : first + self.batch_size]

    def from_step(self, step: int, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """The endless sequence of batches that begins at `step`; `part` of `parts` of their rows."""
        size = self.batch_size // parts
        mine = slice(part * size, (part + 1) * size)
        while True:
            (ids, positions), targets, weights = self.at(step)
            yield (ids[mine], positions[mine]), targets[mine], weights[mine]
            step += 1

    def _order(self, epoch: int) -> list[list[int]]:
        return epoch_order(tuple(self.lengths), self.batch_size, self.seed, epoch)
