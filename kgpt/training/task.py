"""What a training session needs to know of what it trains: pretraining, classification, ...

A session goes through steps, evaluations and checkpoints in the same way whatever the model learns. A `Task` gives it
the model, the batches of every step, and the way to measure how good the model is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import keras

from kgpt.config import TrainConfig
from kgpt.runs import RunFolder
from kgpt.training.callbacks import StopRequest
from kgpt.training.distribution import Devices
from kgpt.training.step_batches import StepBatches


@dataclass(frozen=True)
class Measured:
    """What an evaluation has found."""

    loss: float
    """On the validation part; the checkpoint where it is lowest is the best."""
    values: dict[str, float | None] = field(default_factory=dict)
    """More of it, by the name that it has in `metrics.jsonl`."""


class Measure(Protocol):
    """How good a model is, again and again."""

    @property
    def tokens(self) -> int:
        """That an evaluation reads; 0 where there is nothing to measure."""

    def measure(self) -> Measured:
        """The model as it is now.

        Raises:
            StopAsked: the run shall stop.
        """

    def write_samples(self, step: int) -> None:
        """Let the model show what it does, in `samples.jsonl`.

        Raises:
            StopAsked: the run shall stop.
        """


class Task(Protocol):
    """What a session trains."""

    @property
    def contents(self) -> dict[str, Any]:
        """What `run.json` keeps of the data, to know it again."""

    @property
    def counts_operations(self) -> bool:
        """Whether tokens and the model's size tell the operations of a step, so that its MFU can be had."""

    def model(self, config: TrainConfig, devices: Devices) -> keras.Model:
        """A model with its optimiser, ready for `fit`, as a new run begins."""

    def batches(self, config: TrainConfig) -> StepBatches:
        """The batches of a run."""

    def measure(
        self, run: RunFolder, config: TrainConfig, model: keras.Model, stop: StopRequest
    ) -> Measure:
        """The way to measure `model`."""

    def described(self, model: keras.Model) -> str:
        """Model and data in a few words."""
