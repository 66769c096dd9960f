"""Batches of examples of different lengths: a pure function of (seed, step), as those of a token stream are.

In: rows of ids with a label and a weight each. Out: for any step its (ids, labels, weights). An epoch sees each example
once, in an order drawn anew; texts of similar length share a batch, so that little of it is filling.

Axes: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kgpt.text.text_rows import Ids, filled

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

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

    @property
    def batches_per_epoch(self) -> int:
        """Batches that see every row once; the last rows of an epoch may share a smaller one."""
        return -(-len(self.rows) // self.batch_size)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every row is seen once."""
        return float(self.batches_per_epoch)

    @property
    def arrays(self) -> tuple[tuple[tuple[int | None, ...], str], ...]:
        """Shapes and types of ids, labels and weights; batches differ in length."""
        size = self.batch_size
        return ((size, None), "int32"), ((size,), "int32"), ((size,), "float32")

    def tokens_until(self, step: int) -> int:
        """Ids that the first `step` batches hold, filling left out."""
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
        ids = filled([self.rows[index] for index in chosen], self.longest, self.filling)
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

    def _epoch(self, epoch: int) -> list[Indices]:
        return _epoch_order(self, epoch)


@lru_cache(maxsize=2)
def _epoch_order(batches: ExampleBatches, epoch: int) -> list[Indices]:
    random = np.random.default_rng([batches.seed, epoch])
    lengths = np.array([len(row) for row in batches.rows])
    order = random.permutation(len(lengths))
    size = batches.batch_size
    found: list[Indices] = []
    for start in range(0, len(order), POOL * size):
        pool = order[start : start + POOL * size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        found += [pool[first : first + size] for first in range(0, len(pool), size)]
    return [found[index] for index in random.permutation(len(found))]
