"""The Python face of kgpt: open a run, write with it, train one.

    import kgpt
    run = kgpt.open_run("demo")
    print(run.generate("Marte é um planeta", max_tokens=40, temperature=0.8, seed=1))

Importing this loads neither Keras nor TensorFlow; what needs them loads them on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.protocol import GenerateOptions
from kgpt.runs import Checkpoint, RunFolder, find_run

if TYPE_CHECKING:
    from kgpt.inference.classification import Labelled, TextClassifier
    from kgpt.inference.generation import Generator
    from kgpt.inference.thresholds import Thresholds
    from kgpt.model.gpt import GPT
    from kgpt.text.tokenizer import Tokenizer
    from kgpt.training.callbacks import Reporter
    from kgpt.training.trainer import TrainResult


class Run:
    """A trained (or training) model on disk."""

    def __init__(self, folder: RunFolder, checkpoint: str = "best") -> None:
        self.folder = folder
        self._checkpoint = checkpoint

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @cached_property
    def config(self) -> TrainConfig:
        """The configuration that the run was trained with."""
        return from_dict(self.folder.configuration())

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The run's own tokenizer."""
        from kgpt.text.tokenizer import Tokenizer

        return Tokenizer.load(self.folder.tokenizer_folder)

    @property
    def checkpoints(self) -> list[Checkpoint]:
        """The saved states, the oldest first."""
        return self.folder.checkpoints()

    def metrics(self) -> list[dict[str, Any]]:
        """The logged rows, the oldest first."""
        return self.folder.metrics()

    def generate(self, prompt: str, **options: Any) -> str:
        """The continuation of `prompt`; options as in `kgpt sample` (max_tokens, temperature, top_k, seed ...)."""
        return self._generator.generate(prompt, GenerateOptions.from_dict(options)).text

    def stream(self, prompt: str, **options: Any) -> Iterator[str]:
        """The same, in pieces as they are written; a piece never ends inside a character."""
        for piece in self._generator.stream(prompt, GenerateOptions.from_dict(options)):
            if piece.text:
                yield piece.text

    def classify(
        self, texts: Sequence[str], thresholds: Thresholds | None = None
    ) -> list[Labelled]:
        """The label of each text, with the probabilities of all labels; the run must be a classifier."""
        return list(self._classifier.classify(texts, thresholds))

    def load_model(self) -> GPT:
        """The model: int32 ids (B, T) to float32 logits (B, T, V)."""
        from kgpt.model.weights import load_checkpoint_model

        return load_checkpoint_model(self.folder, self.folder.checkpoint(self._checkpoint))

    @cached_property
    def _generator(self) -> Generator:
        from kgpt.inference.generation import load_generator

        return load_generator(self.folder, self.folder.checkpoint(self._checkpoint))

    @cached_property
    def _classifier(self) -> TextClassifier:
        self.folder.check_labels()
        from kgpt.inference.classification import load_classifier

        return load_classifier(self.folder, self.folder.checkpoint(self._checkpoint))


def open_run(
    run: str | Path, checkpoint: str = "best", saved_models: str | Path | None = None
) -> Run:
    """Open a run by name or path, at its best checkpoint, its last, or a step.

    Raises:
        KgptError: there is no such run.
    """
    return Run(find_run(run, saved_models), checkpoint)


def train(
    config: TrainConfig,
    *,
    saved_models: str | Path | None = None,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> TrainResult:
    """What `kgpt-train` calls: train a run to its last step, or go on with one (`resume`)."""
    from kgpt.training import trainer

    return trainer.train(config, saved_models=saved_models, resume=resume, reporter=reporter)
