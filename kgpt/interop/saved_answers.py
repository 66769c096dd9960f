"""A run that answers as a TensorFlow SavedModel: a question in, its answer out, wherever TensorFlow alone is installed.

In: a model, its tokenizer, its template. Out: a folder with the signatures of `saved_model`, of which `serving_default`
answers instead of continuing a text; `answer` is the same.

Axes: B texts, N new tokens.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tensorflow as tf

from kgpt.interop.saved_model import TEXT, TextModel, check_defaults, save, signature
from kgpt.model.gpt import GPT
from kgpt.protocol import GenerateOptions
from kgpt.text.special_tokens import END_OF_TEXT
from kgpt.text.templates import PIECE, PLACE, Template
from kgpt.text.tokenizer import Tokenizer


class AnswerModel(TextModel):
    """The signatures. Special tokens written out in a question stay the characters they are."""

    def __init__(
        self,
        model: GPT,
        tokenizer: Tokenizer,
        template: Template,
        defaults: GenerateOptions,
        weights: str = "float32",
    ) -> None:
        super().__init__(model, tokenizer, defaults, weights)
        special = {
            token: tokenizer.vocabulary[token] for token in (*template.special_tokens, END_OF_TEXT)
        }
        parts: list[int | str] = [tokenizer.end_of_text]
        for piece in filter(None, PIECE.split(template.beginning + template.user)):
            if piece in special:
                parts.append(special[piece])
            elif isinstance(parts[-1], str):  # what lies between two special tokens is one text
                parts[-1] += piece
            else:
                parts.append(piece)
        object.__setattr__(self, "_parts", parts)
        self._before_answer = "^" + re.escape(template.before_answer)

    @signature(TEXT)
    def answer(self, text: Any) -> dict[str, Any]:
        """The answer to each question, by the options that were given at export."""
        ids = tf.concat([self._ids(part, text) for part in self._parts], axis=1)
        count_B = tf.cast(ids.row_lengths(), tf.int32)
        ids_BT = ids.to_tensor(self.tokenizer.end_of_text)
        found = self.continued(ids_BT, count_B, self.defaults(tf.shape(text)))
        shown = {
            name: tf.strings.regex_replace(found[name], self._before_answer, "")
            for name in ("text", "text_bytes")
        }
        return {**found, **shown}

    @signature(TEXT)
    def serving_default(self, text: Any) -> dict[str, Any]:
        """As `answer`."""
        found: dict[str, Any] = self.answer(text)
        return found

    def _ids(self, part: int | str, text_B: Any) -> Any:
        """A part of the prompt as ragged ids (B, ...)."""
        if isinstance(part, int):
            column_B1 = tf.fill([tf.shape(text_B)[0], 1], part)
            return tf.RaggedTensor.from_tensor(column_B1)
        before, *after = PLACE.split(part)
        asked_B = (
            tf.strings.join([before, text_B, after[-1]])
            if after
            else tf.fill(tf.shape(text_B), part)
        )
        return tf.cast(self.tokenizer.tokenize(asked_B), tf.int32)


def write_saved_answers(
    folder: Path,
    model: GPT,
    tokenizer: Tokenizer,
    template: Template,
    defaults: GenerateOptions,
    weights: str = "float32",
) -> None:
    """Write the SavedModel into the new `folder`. Arguments and errors as `saved_model.write_saved_model`."""
    check_defaults(model, tokenizer, defaults)
    module = AnswerModel(model, tokenizer, template, defaults, weights)
    names = ("serving_default", "answer", "generate", "score", "tokenize", "detokenize")
    save(module, names, folder)
