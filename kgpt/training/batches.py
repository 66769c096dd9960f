"""Batches of a token stream: a pure function of (seed, step).

In: the tokens of a split, the batch's shape, a seed. Out: for any step, its (inputs, targets). Nothing is kept between
steps, so a run that resumes at step n sees what an uninterrupted run sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from kgpt.errors import KgptError
from kgpt.evaluation.tokens import TokenStream
from kgpt.language import _
from kgpt.training.step_batches import Array

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Batches:
    """Windows of `context_length` tokens, each seen once an epoch, in an order drawn anew for every epoch.

    Each epoch also shifts the grid of windows by a random offset, so that over the epochs a token is seen at every
    place of the context.
    """

    tokens: TokenStream
    batch_size: int
    context_length: int
    seed: int

    def __post_init__(self) -> None:
        if len(self.tokens) <= self.context_length:
            raise KgptError(
                _("Corpus shorter than one context"),
                _(
                    "It has {count} training tokens; context_length={context_length} needs at least "
                    "{context_length_2}.",
                    count=len(self.tokens),
                    context_length=self.context_length,
                    context_length_2=self.context_length + 1,
                ),
                _("Give more text, or a shorter --context-length."),
            )

    @property
    def windows(self) -> int:
        """Windows in an epoch."""
        return max(1, (len(self.tokens) - self.context_length) // self.context_length)

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every window is seen once."""
        return self.windows / self.batch_size

    @property
    def arrays(self) -> tuple[Array, Array]:
        """Shapes and types of inputs and targets."""
        both = Array((self.batch_size, self.context_length), "int32")
        return both, both

    def tokens_until(self, step: int) -> int:
        """Tokens in the first `step` batches."""
        return step * self.batch_size * self.context_length

    def at(self, step: int, part: int = 0, parts: int = 1) -> tuple[Ids, Ids]:
        """Inputs and targets of a step, int32 (B, T); the target of each token is the token after it.

        Of `parts` that divide the batch, only the rows of one `part` are read.
        """
        size = self.batch_size // parts
        first = step * self.batch_size + part * size
        rows = [self._window(index) for index in range(first, first + size)]
        ids = np.stack(rows).astype(np.int32)
        return ids[:, :-1], ids[:, 1:]

    def from_step(self, step: int, part: int = 0, parts: int = 1) -> Iterator[tuple[Ids, Ids]]:
        """The endless sequence of batches (or parts of them) that begins at `step`."""
        while True:
            yield self.at(step, part, parts)
            step += 1

    def _window(self, index: int) -> npt.NDArray[np.integer]:
        epoch, place = divmod(index, self.windows)
        order, offset = self._epoch(epoch)
        return self.tokens.window(
            offset + int(order[place]) * self.context_length, self.context_length + 1
        )

    def _epoch(self, epoch: int) -> tuple[npt.NDArray[np.int64], int]:
        free = len(self.tokens) - self.windows * self.context_length
        return _epoch_order(self.seed, epoch, self.windows, min(self.context_length, free))


@lru_cache(maxsize=2)  # a batch touches two epochs at most
def _epoch_order(
    seed: int, epoch: int, windows: int, offsets: int
) -> tuple[npt.NDArray[np.int64], int]:
    random = np.random.default_rng([seed, epoch])
    return random.permutation(windows), int(random.integers(offsets))
