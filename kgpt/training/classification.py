"""Classification as a task: a base that learns to label texts.

In: the parts of the labelled texts, a base's weights. Out: batches, a compiled classifier, its figures on the
validation part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from kgpt.config import TrainConfig
from kgpt.evaluation.classification import Figures, figures
from kgpt.finetune_config import ClassifyConfig
from kgpt.inference.classification import RowScorer
from kgpt.model.classifier import NO_TOKEN, Classifier, build_classifier
from kgpt.model.lora import add_adapters
from kgpt.model.weights import assign
from kgpt.runs import RunFolder
from kgpt.text.cleaning import Cleaner
from kgpt.text.labelled import Example
from kgpt.text.parting import Parts
from kgpt.text.text_rows import TextRows, text_rows
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.averages import averaged
from kgpt.training.callbacks import StopRequest
from kgpt.training.distribution import Devices
from kgpt.training.example_batches import ExampleBatches
from kgpt.training.preparation import compile_model
from kgpt.training.task import Measured

Tensors = Mapping[str, np.ndarray]
Labels = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Classification:
    """The `Task` of `kgpt finetune classify`."""

    settings: ClassifyConfig
    parts: Parts
    tokenizer: Tokenizer
    longest: int
    """Ids of a text that are read."""
    base: Tensors | None
    """Weights to begin with; None where a checkpoint has all of them."""
    contents: dict[str, Any]
    counts_operations: bool = False

    @cached_property
    def rows(self) -> dict[str, TextRows]:
        """The ids of each part's texts."""
        texts = {name: [example.text for example in part] for name, part in self.parts}
        cleaner = Cleaner.of_changes(self.settings.clean)
        return {
            name: text_rows(part, self.tokenizer, self.longest, cleaner)
            for name, part in texts.items()
        }

    def model(self, config: TrainConfig, devices: Devices) -> keras.Model:
        """The base with a new head, what shall not train frozen."""
        with devices.scope():
            model = build_classifier(
                config.model,
                self.settings,
                config.precision,
                config.seed,
                config.label_smoothing,
                config.remat,
            )
            if self.base is not None:
                assign(model.gpt.weights, self.base, "the base")
            freeze(model, self.settings)
            compile_model(model, config, jit_compile=config.xla == "on")
        return model

    def batches(self, config: TrainConfig) -> ExampleBatches:
        """The training part."""
        labels = self.label_ids(self.parts.train)
        return ExampleBatches(
            rows=self.rows["train"].rows,
            labels=labels,
            weights=self._weights(labels),
            batch_size=config.batch_size,
            longest=self.longest,
            seed=config.seed,
            filling=NO_TOKEN,
            token_dropout=self.settings.token_dropout,
        )

    def measure(
        self, run: RunFolder, config: TrainConfig, model: Any, stop: StopRequest
    ) -> PartMeasure:
        """The validation part."""
        rows, labels = self.rows["validation"].rows, self.label_ids(self.parts.validation)
        return PartMeasure(model, rows, labels, self.settings.labels, self.longest, stop)

    def described(self, model: keras.Model) -> str:
        """How much trains."""
        trained = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        whole = sum(int(np.prod(weight.shape)) for weight in model.weights)
        return f"{trained:,} of {whole:,} parameters train ({trained / whole:.1%}); {len(self.parts.train):,} examples"

    def label_ids(self, examples: Sequence[Example]) -> Labels:
        """The place of each example's label (N,)."""
        place = {label: index for index, label in enumerate(self.settings.labels)}
        return np.array([place[example.label] for example in examples], "int32")

    def _weights(self, labels: Labels) -> npt.NDArray[np.float32]:
        if not self.settings.class_weights:
            return np.ones(len(labels), "float32")
        counts = np.bincount(labels, minlength=len(self.settings.labels))
        return (len(labels) / (len(counts) * counts[labels])).astype("float32")


def freeze(model: Classifier, settings: ClassifyConfig) -> None:
    """Leave trainable what `settings` says: adapters and the head; or the last blocks, final norm and head; or all."""
    gpt = model.gpt
    if settings.lora.rank:
        add_adapters(gpt, settings.lora)
        return
    if settings.train_layers == "all":
        if not gpt.config.tied_head:  # it scores tokens, which nobody asks for
            gpt.head.kernel.trainable = False
        return
    count = int(settings.train_layers.removeprefix("last-").replace("head", "0"))
    kept = {
        id(weight)
        for block in gpt.blocks[max(0, len(gpt.blocks) - count) :]
        for weight in block.weights
    }
    if count == 0:
        kept = set()
    else:
        kept |= {id(weight) for weight in gpt.final_norm.weights}
    for weight in gpt.weights:
        weight.trainable = id(weight) in kept


class PartMeasure:
    """Figures of a classifier on rows of ids, again and again."""

    def __init__(
        self,
        model: Classifier,
        rows: Sequence[Sequence[int]],
        labels: Labels,
        names: Sequence[str],
        longest: int,
        stop: StopRequest,
    ) -> None:
        self.model, self.rows, self.labels, self.names = model, rows, labels, names
        self.stop = stop
        self._score = RowScorer(model, longest)

    @property
    def tokens(self) -> int:
        """Ids in all rows."""
        return sum(map(len, self.rows))

    def measure(self) -> Measured:
        """Loss, accuracy and F1.

        Raises:
            StopAsked: the run shall stop.
        """
        found = self.figures()
        values: dict[str, float | None] = {
            "validation_accuracy": found.accuracy,
            "validation_f1": float(found.f1.mean()),
        }
        if self.model.optimizer.averages:
            with averaged(self.model):
                values["ema_validation_loss"] = self.figures().loss
        return Measured(found.loss, values)

    def figures(self) -> Figures:
        """All figures."""
        return figures(self._score(self.rows, self.stop.check), self.labels, self.names)

    def write_samples(self, step: int) -> None:
        """A classifier writes nothing."""
