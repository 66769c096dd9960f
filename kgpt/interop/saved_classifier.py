"""A classifier as a TensorFlow SavedModel: text in, labels out, wherever TensorFlow alone is installed.

In: a model, its tokenizer, its labels. Out: a folder with two signatures, which are the same: `classify` and
`serving_default`.

Axes: B texts, T tokens of a text, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from kgpt.errors import KgptError
from kgpt.finetune_config import ClassifyConfig
from kgpt.inference.classification import longest_row
from kgpt.interop.saved_model import TEXT, StoredModel, check_model, save, signature
from kgpt.language import _
from kgpt.model.classifier import NO_TOKEN, Classifier
from kgpt.text.tokenizer import Tokenizer

GRAPH_STEPS: dict[str, Callable[[Any], Any]] = {
    "lower": lambda text: tf.strings.lower(text, encoding="utf-8"),
    "digits": lambda text: tf.strings.regex_replace(text, "[1-9]", "0"),
}
"""The cleaning steps that a graph can do."""


class LabelModel(StoredModel):
    """The signatures. Input and outputs have a row a text, so that a server may join and split batches."""

    def __init__(
        self, model: Classifier, tokenizer: Tokenizer, settings: ClassifyConfig, weights: str
    ) -> None:
        super().__init__("label_model", model, tokenizer, weights)
        self._names = tf.constant(settings.labels)
        self._clean = [GRAPH_STEPS[step] for step in settings.clean]
        self._longest = longest_row(settings, model.config.context_length)
        self._end_of_text = tokenizer.end_of_text

    @signature(TEXT)
    def classify(self, text: Any) -> dict[str, Any]:
        """The label of each text (B,), the probabilities of all labels (B, L), and their names (B, L)."""
        for step in self._clean:
            text = step(text)
        ids = self.tokenizer.tokenize(text)
        first_B1 = tf.fill([tf.shape(text)[0], 1], self._end_of_text)
        rows = tf.concat([tf.cast(first_B1, ids.dtype), ids], axis=1)[:, : self._longest]
        ids_BT = tf.cast(rows.to_tensor(NO_TOKEN), tf.int32)
        with self.weights_in_place():
            probabilities_BL = tf.nn.softmax(self._model(ids_BT), axis=-1)
        names_BL = tf.broadcast_to(self._names, tf.shape(probabilities_BL))
        label_B = tf.gather(self._names, tf.argmax(probabilities_BL, axis=-1))
        return {"label": label_B, "probabilities": probabilities_BL, "labels": names_BL}

    @signature(TEXT)
    def serving_default(self, text: Any) -> dict[str, Any]:
        """As `classify`."""
        found: dict[str, Any] = self.classify(text)
        return found


def write_saved_classifier(
    folder: Path,
    model: Classifier,
    tokenizer: Tokenizer,
    settings: ClassifyConfig,
    weights: str = "float32",
) -> None:
    """Write the SavedModel of `model` into the new `folder`, its matrices in `weights`: float32 or bfloat16.

    Raises:
        KgptError: Keras does not run on TensorFlow, the tokenizer is another model's, or texts are cleaned by a step
            that a graph cannot do.
        OSError: the disk is full or the folder cannot be written.
    """
    check_model(model.config, tokenizer)
    without = [step for step in settings.clean if step not in GRAPH_STEPS]
    if without:
        raise KgptError(
            _("A cleaning step has no place in a SavedModel"),
            _(
                "The classifier cleans its texts by {without}, which TensorFlow alone cannot do.",
                without=without[0],
            ),
            _(
                "Steps that it can: {graph_steps}. `kgpt serve` has them all.",
                graph_steps=", ".join(GRAPH_STEPS),
            ),
        )
    save(LabelModel(model, tokenizer, settings, weights), ("serving_default", "classify"), folder)
