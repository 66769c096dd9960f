"""Batches of examples of different lengths: a pure function of (seed, step), as those of a token stream are.

In: rows of ids with a label and a weight each. Out: for any step its (ids, labels, weights). An epoch sees each example
once, in an order drawn anew; texts of similar length share a batch, so that little of it is filling.

Axes: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from kgpt.text.text_rows import Ids, filled
from kgpt.training.step_batches import Array

Floats = npt.NDArray[np.float32]

POOL = 16
"""Batches whose examples are sorted by length together."""


@dataclass(frozen=True, eq=False)
class ExampleBatches:
    """Batches of labelled rows of ids."""

    rows: Sequence[Sequence[int]]
    labels: npt.NDArray[np.int32]
    weights: Floats
    """How much each row counts in the loss."""
    batch_size: int
    longest: int
    """Ids that the model can read."""
    seed: int
    filling: int
    token_dropout: float = 0.0
    """Chance of each id of a row but the first to be left out, drawn anew each time that the row is seen."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches that see every row once; the last rows of an epoch may share a smaller one."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every row is seen once."""
        return float(self.batches_per_epoch)

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Shapes and types of ids, labels and weights; batches differ in length."""
        size = self.batch_size
        return Array((size, None), "int32"), Array((size,), "int32"), Array((size,), "float32")

    def tokens_until(self, step: int) -> int:
        """Ids that the rows of the first `step` batches have, filling left out and dropped ones counted."""
        epochs, rest = divmod(step, self.batches_per_epoch)
        each = sum(map(len, self.rows))
        order = self._epoch(epochs)[:rest] if rest else []
        return epochs * each + sum(len(self.rows[index]) for batch in order for index in batch)

    def at(self, step: int) -> tuple[Ids, npt.NDArray[np.int32], Floats]:
        """Ids (B, T), labels (B,) and weights (B,) of a step.

        Every batch has `batch_size` rows: where examples are missing, rows of filling that count nothing.
        """
        epoch, place = divmod(step, self.batches_per_epoch)
        chosen = self._epoch(epoch)[place]
        missing = self.batch_size - len(chosen)
        rows = self._thinned([self.rows[index] for index in chosen], step)
        ids = filled(rows, self.longest, self.filling)
        ids = np.pad(ids, ((0, missing), (0, 0)), constant_values=self.filling)
        return (
            ids,
            np.pad(self.labels[chosen], (0, missing)),
            np.pad(self.weights[chosen], (0, missing)),
        )

    def from_step(
        self, step: int, part: int = 0, parts: int = 1
    ) -> Iterator[tuple[Ids, npt.NDArray[np.int32], Floats]]:
        """The endless sequence of batches that begins at `step`; `part` of `parts` of their rows."""
        while True:
            size = self.batch_size // parts
            yield tuple(array[part * size : (part + 1) * size] for array in self.at(step))  # type: ignore[misc]
            step += 1

    def _thinned(self, rows: Sequence[Sequence[int]], step: int) -> Sequence[Sequence[int]]:
        if not self.token_dropout:
            return rows
        random = np.random.default_rng([self.seed, 1, step])
        kept = [random.random(len(row)) >= self.token_dropout for row in rows]
        return [
            [*row[:1], *(token for token, stays in zip(row[1:], stay[1:], strict=True) if stays)]
            for row, stay in zip(rows, kept, strict=True)
        ]

    def _epoch(self, epoch: int) -> list[list[int]]:
        return epoch_order(self._lengths, self.batch_size, self.seed, epoch)

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        return tuple(map(len, self.rows))


@lru_cache(maxsize=2)
def epoch_order(lengths: tuple[int, ...], size: int, seed: int, epoch: int) -> list[list[int]]:
    """The rows of each batch of an epoch: each row once, in an order drawn anew, similar lengths together."""
    random = np.random.default_rng([seed, epoch])
    length_N = np.array(lengths)
    order = random.permutation(len(lengths))
    found: list[list[int]] = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        pool = pool[np.argsort(length_N[pool], kind="stable")]
        found += [pool[first : first + size].tolist() for first in range(0, len(pool), size)]
    return [found[index] for index in random.permutation(len(found))]
