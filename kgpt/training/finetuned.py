"""What every fine-tuning does once its run's folder is there: train, measure the best checkpoint, keep the figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kgpt.config import TrainConfig
from kgpt.files import write_json
from kgpt.finetune_config import LoraConfig
from kgpt.model.tensors import load_tensors
from kgpt.model.weights import assign, model_weights
from kgpt.runs import RunFolder, owned
from kgpt.training.callbacks import Reporter, Silence
from kgpt.training.distribution import training_devices
from kgpt.training.ending import TrainResult
from kgpt.training.parent import write_adapter
from kgpt.training.preparation import with_epochs
from kgpt.training.task import Task
from kgpt.training.trainer import TrainingSession

Figures = Callable[[TrainingSession], dict[str, Any]]
"""A session whose model has its best weights in, figures out."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    training: TrainResult
    results: dict[str, Any] | None
    """Figures of the best checkpoint, once training is done."""


def with_steps_of(config: TrainConfig, task: Task) -> TrainConfig:
    """The configuration with epochs turned into steps."""
    return with_epochs(config, task.batches(config).steps_per_epoch)


def trained(
    run: RunFolder,
    config: TrainConfig,
    task: Task,
    lora: LoraConfig,
    figures_of: Figures,
    reporter: Reporter | None = None,
) -> Outcome:
    """Train a run from where it is; when it has all its steps, keep its figures and adapters.

    Raises:
        KgptError: the machine does not have what was asked for.
        KgptFailure: the disk is full, memory ran out, the loss is not finite, or no checkpoint is whole.
    """
    reporter = reporter or Silence()
    with training_devices(config, reporter.message) as devices, owned(run):
        session = TrainingSession(run, config, task, reporter, devices)
        result = session.work()
        if not result.finished:
            return Outcome(result, None)
        best = run.checkpoint("best")
        assign(model_weights(session.model), load_tensors(best.path / best.weights_file), best.path)
        results = {"step": best.step, **figures_of(session)}
        write_json(run.results_file, results)
        if lora.rank:
            write_adapter(run)
    return Outcome(result, results)
