"""What a training session needs of the batches that it trains on, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Array:
    """One array of a batch."""

    shape: tuple[int | None, ...]
    """Sizes that differ from batch to batch are None."""
    dtype: str


class StepBatches(Protocol):
    """The batches of a run, each a pure function of the step."""

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which everything is seen once."""

    @property
    def arrays(self) -> Any:
        """What each batch consists of: (nested) tuples of `Array`."""

    def tokens_until(self, step: int) -> int:
        """Tokens that the model has learned from when `step` steps are done."""

    def from_step(self, step: int, part: int = 0, parts: int = 1) -> Iterator[Any]:
        """The endless sequence of batches that begins at `step`; of each, one of `parts` of the rows."""
