"""Where a run is: everything about it that is not a tensor. It lies in a checkpoint's `state.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What a run has done so far; a resumed run begins with that of its checkpoint."""

    step: int = 0
    """Updates done."""
    seconds: float = 0.0
    """Time since the start, over all the processes that worked on the run."""
    pending_losses: list[float] = field(default_factory=list)
    """Losses of the steps since the last logged row."""
    recent_losses: list[float] = field(default_factory=list)
    """Losses of the latest steps, which a spike is told by."""
    best_validation_loss: float | None = None
    best_step: int | None = None
    evaluated_step: int | None = None
    """Step of the latest evaluation."""
    stale_evaluations: int = 0
    """Evaluations since the best one."""
    batches_skipped: int = 0
    """How far the data is ahead of the steps, after going back to a checkpoint."""
    rollbacks: int = 0
    """How often the run went back."""

    @property
    def position(self) -> int:
        """Which batch of the run's data comes next."""
        return self.step + self.batches_skipped

    def note_validation_loss(self, loss: float) -> bool:
        """Take in the loss of an evaluation at this step; True if it is the best so far. Twice is as good as once."""
        # "or equal": a run killed between two files repeats its evaluation, and must finish what it began
        is_best = self.best_validation_loss is None or loss <= self.best_validation_loss
        if is_best:
            self.best_validation_loss, self.best_step = loss, self.step
            self.stale_evaluations = 0
        elif self.evaluated_step != self.step:
            self.stale_evaluations += 1
        self.evaluated_step = self.step
        return is_best

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Progress:
        """The progress among `values`, which may hold more."""
        known = cls.__dataclass_fields__
        return cls(**{key: value for key, value in values.items() if key in known})
