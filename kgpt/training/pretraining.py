"""Pretraining as a task: a GPT that learns what follows, from a prepared corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from kgpt.config import TrainConfig
from kgpt.runs import RunFolder
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer
from kgpt.training.batches import Batches
from kgpt.training.callbacks import StopRequest
from kgpt.training.distribution import Devices
from kgpt.training.preparation import compiled_model, corpus_contents, training_batches
from kgpt.training.validation import Validation


@dataclass(frozen=True)
class Pretraining:
    """The `Task` of `kgpt train`."""

    corpus: Corpus
    tokenizer: Tokenizer
    counts_operations: bool = True

    @property
    def contents(self) -> dict[str, Any]:
        """Path, sizes and checksums of the corpus."""
        return corpus_contents(self.corpus)

    def model(self, config: TrainConfig, devices: Devices) -> keras.Model:
        """A fresh GPT."""
        return compiled_model(config, devices)

    def batches(self, config: TrainConfig) -> Batches:
        """Windows of the training split."""
        return training_batches(config, self.corpus)

    def measure(
        self, run: RunFolder, config: TrainConfig, model: Any, stop: StopRequest
    ) -> Validation:
        """The loss of the validation split, and samples."""
        return Validation(run, config, self.corpus, self.tokenizer, model, stop)

    def described(self, model: keras.Model) -> str:
        """Parameters and tokens."""
        tokens = len(self.corpus.tokens("train"))
        return f"{model.count_params():,} parameters; {tokens:,} training tokens"
