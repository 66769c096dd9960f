"""Labels for texts: a classifier at work.

In: texts, or rows of ids. Out: a probability for every label, and the label that follows from them.

Axes: N texts, B texts of a batch, T tokens, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from kgpt.finetune_config import ClassifyConfig, classify_config
from kgpt.inference.compiled import compiled
from kgpt.inference.thresholds import Thresholds
from kgpt.language import _
from kgpt.model.classifier import NO_TOKEN, Classifier, load_checkpoint_classifier
from kgpt.runs import Checkpoint, RunFolder
from kgpt.text.cleaning import Cleaner
from kgpt.text.text_rows import filled, text_rows
from kgpt.text.tokenizer import Tokenizer

BATCH = 64
"""Texts that are read at once."""

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Labelled:
    """A text and what a classifier says of it."""

    text: str
    label: str | None
    """None: no label is probable enough."""
    probabilities: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"text": self.text, "label": self.label, "probabilities": self.probabilities}


class RowScorer:
    """A classifier's probabilities for rows of ids, compiled once."""

    def __init__(self, model: Classifier, longest: int) -> None:
        self._longest = longest
        self._probabilities: Callable[..., Any] = compiled(
            lambda ids_BT: ops.softmax(model(ids_BT), axis=-1), model.variables, any_shape=True
        )
        self._num_labels = model.num_labels

    def __call__(
        self, rows: Sequence[Sequence[int]], between: Callable[[], object] = lambda: None
    ) -> Probabilities:
        """Probabilities (N, L); `between` is called before each batch."""
        found = np.zeros((len(rows), self._num_labels))
        by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]))
        for start in range(0, len(rows), BATCH):
            between()
            chosen = by_length[start : start + BATCH]
            ids_BT = filled([rows[index] for index in chosen], self._longest, NO_TOKEN)
            found[chosen] = np.asarray(self._probabilities(ops.convert_to_tensor(ids_BT)))
        return found


class TextClassifier:
    """Gives labels to texts."""

    def __init__(self, model: Classifier, tokenizer: Tokenizer, settings: ClassifyConfig) -> None:
        self.tokenizer, self.labels = tokenizer, settings.labels
        self.longest = longest_row(settings, model.config.context_length)
        self._cleaner = Cleaner.of_changes(settings.clean)
        self._score = RowScorer(model, self.longest)

    def probabilities(self, texts: Sequence[str]) -> Probabilities:
        """Probabilities (N, L) of the labels; a text's tokens behind the longest row are not read."""
        return self._score(text_rows(texts, self.tokenizer, self.longest, self._cleaner).rows)

    def classify(
        self, texts: Sequence[str], thresholds: Thresholds | None = None
    ) -> Iterator[Labelled]:
        """Each text with its label.

        Raises:
            KgptError: a threshold names a label that there is not.
        """
        thresholds = thresholds or Thresholds()
        thresholds.check(self.labels)
        for text, values in zip(texts, self.probabilities(texts), strict=True):
            by_label = {
                label: float(value) for label, value in zip(self.labels, values, strict=True)
            }
            yield Labelled(text, thresholds.choose(by_label), by_label)


def longest_row(settings: ClassifyConfig, context_length: int) -> int:
    """Ids of a text that are read at most."""
    return min(settings.max_length or context_length, context_length)


def load_classifier(
    run: RunFolder,
    checkpoint: Checkpoint | None = None,
    report: Callable[[str], object] = lambda stage: None,
) -> TextClassifier:
    """The classifier of a run's checkpoint, the best one by default; `report` is told what is being done.

    Raises:
        KgptError: the run is no classifier, or something in it is missing or does not fit.
        KgptFailure: the checkpoint is damaged.
    """
    run.check_labels()
    settings = classify_config(run.read().get("finetuning"))
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    report(_("loading the weights"))
    model = load_checkpoint_classifier(run, checkpoint or run.checkpoint())
    return TextClassifier(model, tokenizer, settings)
