"""What is known of one run, as far as it has been read. Knows neither Textual nor numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kgpt.evaluations import Result
from kgpt.runs import CLASSIFICATION, LIVE_STATES, Checkpoint


@dataclass(frozen=True)
class RunSummary:
    """What the table and the details show of one run; None where it is not known."""

    name: str
    path: Path
    state: str = "unknown"
    problem: str = ""
    """Why the run cannot be read; empty when it can."""
    error: str = ""
    """What made the trainer fail."""
    task: str = ""
    answers: bool = False
    """It was tuned to answer."""
    preset: str = ""
    parameters: int | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    created: str = ""
    updated: float = 0.0
    """Seconds since the epoch of the last sign of life."""
    step: int | None = None
    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    pace: float | None = None
    """Seconds a step, without what compiling took."""
    train_loss: float | None = None
    validation_loss: float | None = None
    best_validation_loss: float | None = None
    best_step: int | None = None
    bits_per_byte: float | None = None
    learning_rate: float | None = None
    gradient_norm: float | None = None
    tokens_per_second: float | None = None
    curve: tuple[float, ...] = ()
    """The training loss, thinned out evenly."""
    checkpoints: tuple[Checkpoint, ...] = ()
    evaluations: tuple[Result, ...] = ()
    """The newest result of each measurement by `kgpt evaluate`, the newest first."""
    checkpoint_files: tuple[tuple[int, float], ...] = ()
    """Bytes, and seconds since the epoch of the last change, of each checkpoint."""
    size: int = 0
    """Bytes on the disk, checkpoints included."""
    pid: int | None = None
    """Of the trainer that is at work on it, where that is on this machine."""
    is_complete: bool = True
    """False while a long `metrics.jsonl` is still being read."""

    @property
    def is_classifier(self) -> bool:
        """It gives labels, and writes nothing."""
        return self.task == CLASSIFICATION

    @property
    def is_live(self) -> bool:
        """A trainer is at work on it."""
        return self.state in LIVE_STATES or self.state == "stalled"

    @property
    def progress(self) -> float | None:
        """Share of the steps that is done, 0 to 1."""
        if self.step is None or not self.steps:
            return None
        return min(1.0, max(0.0, self.step / self.steps))

    @property
    def created_at(self) -> float | None:
        """Seconds since the epoch when the run was made."""
        try:
            return datetime.fromisoformat(self.created).timestamp()
        except (ValueError, OverflowError):
            return None

    @property
    def seconds_left(self) -> float | None:
        """Time to the last step at the pace so far."""
        if not self.step or not self.steps or self.pace is None:
            return None
        return max(0, self.steps - self.step) * self.pace
