"""A run as a TensorFlow SavedModel: text in, text out, wherever TensorFlow alone is installed.

In: a model and its tokenizer. Out: a folder with five signatures. Tokenizer, KV-cached loop and sampling are part of
the graph; whoever loads it needs neither kgpt nor Keras nor tensorflow-text.

Axes: B texts, T tokens of a text, N new tokens.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import keras
import tensorflow as tf

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.graph_generation import generate, log_probabilities
from kgpt.interop.graph_sampling import CONTROL_TYPES, Controls, checked
from kgpt.language import _
from kgpt.model.gpt import GPT
from kgpt.model.weights import model_weights
from kgpt.protocol import GenerateOptions
from kgpt.text.graph_tokenizer import GraphBPE
from kgpt.text.tokenizer import Tokenizer

Method = TypeVar("Method", bound=Callable[..., Any])

TEXT = tf.TensorSpec([None], tf.string, "text")
_IDS = tf.TensorSpec([None, None], tf.int32, "ids")


def _each(name: str, dtype: Any) -> Any:
    return tf.TensorSpec([None], dtype, name)


def signature(*inputs: Any) -> Callable[[Method], Method]:
    """A method as a graph of inputs of these kinds."""
    return cast(
        Callable[[Method], Method], tf.function(input_signature=list(inputs), autograph=False)
    )


class StoredModel(tf.Module):
    """A Keras model whose weights are stored as plain variables, float32 or bfloat16, with its tokenizer."""

    def __init__(self, name: str, model: Any, tokenizer: Tokenizer, weights: str) -> None:
        super().__init__(name=name)
        # TensorFlow tracks what is assigned to a module. A Keras model brings objects that only Keras can load, and
        # its variables twice: of the model, only the plain variables may be tracked.
        object.__setattr__(self, "_model", model)
        variables = model_weights(model)
        self.weights = [_stored(variable, weights) for variable in variables]
        pairs = list(zip(variables, self.weights, strict=True))
        object.__setattr__(self, "_converted", [] if weights == "float32" else pairs)
        self.tokenizer = GraphBPE(tokenizer)

    def weights_in_place(self) -> Any:
        """A scope in which the model computes with the stored weights."""
        pairs = [(variable, tf.cast(stored, tf.float32)) for variable, stored in self._converted]
        return keras.StatelessScope(state_mapping=pairs)


class TextModel(StoredModel):
    """The signatures. Every input has a row a text, so that a server may join and split batches.

    `text` in results is valid UTF-8: where the last token ends inside a character, U+FFFD stands for what is there of
    it; `text_bytes` is exact. Of `ids`, the first `num_tokens` in a row count; the others are the end of text.

    Matrices are stored as `weights` says. A call computes in float32 with either: it converts them once, at its start.
    """

    def __init__(
        self, model: GPT, tokenizer: Tokenizer, defaults: GenerateOptions, weights: str = "float32"
    ) -> None:
        super().__init__("text_model", model, tokenizer, weights)
        object.__setattr__(self, "_defaults", defaults)

    @signature(TEXT)
    def serving_default(self, text: Any) -> dict[str, Any]:
        """Continue each text, by the options that were given at export."""
        return self.generate(text, *self.defaults(tf.shape(text)))

    def defaults(self, shape: Any) -> Controls:
        """The options that were given at export, for as many texts."""
        chosen: GenerateOptions = self._defaults
        seed = chosen.seed or 0
        values = (chosen.max_tokens, chosen.temperature, chosen.top_k, chosen.top_p, seed)
        return Controls(
            *(tf.fill(shape, value) for value in map(tf.constant, values, CONTROL_TYPES))
        )

    @signature(TEXT, *(_each(*item) for item in CONTROL_TYPES._asdict().items()))
    def generate(
        self,
        text: Any,
        max_new_tokens: Any,
        temperature: Any,
        top_k: Any,
        top_p: Any,
        seed: Any,
    ) -> dict[str, Any]:
        """Continue each text by its own controls; see `Controls`."""
        controls = Controls(max_new_tokens, temperature, top_k, top_p, seed)
        controls = checked(controls, tf.shape(text)[0], self._model.config.context_length)
        prompts = self.tokenize(text)  # calling the signatures keeps one copy of each in the file
        return self.continued(prompts["ids"], prompts["num_tokens"], controls)

    def continued(self, ids_BT: Any, count_B: Any, controls: Controls) -> dict[str, Any]:
        """What follows the first `count_B` ids of each row."""
        end_of_text = self.tokenizer.end_of_text
        with self.weights_in_place():
            ids_BN, count_B = generate(self._model, ids_BT, count_B, controls, end_of_text)
        return {**self.detokenize(ids_BN, count_B), "ids": ids_BN, "num_tokens": count_B}

    @signature(TEXT)
    def score(self, text: Any) -> dict[str, Any]:
        """The natural logarithm of each token's probability, given those before it; 0 behind a row's end.

        The first follows the end of a text. A text longer than the context is read in windows of its length.
        """
        found = self.tokenize(text)
        with self.weights_in_place():
            scores_BT = log_probabilities(self._model, found["ids"], self.tokenizer.end_of_text)
        is_token_BT = tf.sequence_mask(found["num_tokens"], tf.shape(scores_BT)[1])
        return {**found, "log_probabilities": tf.where(is_token_BT, scores_BT, 0.0)}

    @signature(TEXT)
    def tokenize(self, text: Any) -> dict[str, Any]:
        """The ids of each text."""
        ids = self.tokenizer.tokenize(text)
        count_B = tf.cast(ids.row_lengths(), tf.int32)
        return {"ids": ids.to_tensor(self.tokenizer.end_of_text), "num_tokens": count_B}

    @signature(_IDS, _each("num_tokens", tf.int32))
    def detokenize(self, ids: Any, num_tokens: Any) -> dict[str, Any]:
        """The text of the first `num_tokens` ids of each row."""
        bytes_B = self.tokenizer.detokenize(ids, num_tokens)
        return {
            "text": tf.strings.unicode_transcode(bytes_B, "UTF-8", "UTF-8"),
            "text_bytes": bytes_B,
        }


def _stored(variable: Any, dtype: str) -> Any:
    """What the file has of a weight: vectors always as they are."""
    if dtype == "float32" or len(variable.shape) < 2:
        return variable.value
    return tf.Variable(tf.cast(variable.value, dtype), trainable=False)


def write_saved_model(
    folder: Path,
    model: GPT,
    tokenizer: Tokenizer,
    defaults: GenerateOptions,
    weights: str = "float32",
) -> None:
    """Write the SavedModel of `model` into the new `folder`, its matrices in `weights`: float32 or bfloat16.

    Raises:
        KgptError: Keras does not run on TensorFlow, the tokenizer is another model's, or `defaults` cannot be met.
        OSError: the disk is full or the folder cannot be written.
    """
    check_defaults(model, tokenizer, defaults)
    module = TextModel(model, tokenizer, defaults, weights)
    save(module, ("serving_default", "generate", "score", "tokenize", "detokenize"), folder)


def save(module: StoredModel, names: Sequence[str], folder: Path) -> None:
    """Write a module with its methods of these names as signatures. Raises OSError."""
    try:
        tf.saved_model.save(module, str(folder), {name: getattr(module, name) for name in names})
    except tf.errors.OpError as error:
        raise OSError(_error_number(error), error.message) from error


def check_defaults(model: GPT, tokenizer: Tokenizer, defaults: GenerateOptions) -> None:
    """Refuse what no SavedModel that writes can be made of.

    Raises:
        KgptError: as `check_model`, or the context does not hold as many tokens as are to be written.
    """
    config = model.config
    check_model(config, tokenizer)
    if defaults.max_tokens > config.context_length:
        raise KgptError(
            _("Too many tokens"),
            _(
                "The model's context holds {context_length} tokens. Received: --max-tokens "
                "{max_tokens}",
                context_length=config.context_length,
                max_tokens=defaults.max_tokens,
            ),
            _("Use --max-tokens {context_length} or less.", context_length=config.context_length),
        )


def check_model(config: ModelConfig, tokenizer: Tokenizer) -> None:
    """Refuse what no SavedModel can be made of.

    Raises:
        KgptError: Keras does not run on TensorFlow, or the tokenizer is another model's.
    """
    if keras.backend.backend() != "tensorflow":
        raise KgptError(
            _("A SavedModel needs TensorFlow"),
            _("Keras runs on {backend} here.", backend=keras.backend.backend()),
            _("Export with KERAS_BACKEND=tensorflow."),
        )
    if tokenizer.vocabulary_size != config.vocabulary_size:
        raise KgptError(
            _("Vocabulary does not match the model"),
            _(
                "Expected a tokenizer with {vocabulary_size} ids, as the model has. Received: one "
                "with {vocabulary_size_2}.",
                vocabulary_size=config.vocabulary_size,
                vocabulary_size_2=tokenizer.vocabulary_size,
            ),
            _("Use the tokenizer that the model was trained with: its run's tokenizer/ folder."),
        )


def _error_number(error: Any) -> int:
    full = "No space left on device" in error.message
    return errno.ENOSPC if full else errno.EIO
