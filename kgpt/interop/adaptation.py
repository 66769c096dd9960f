"""A model with another context, or with more special tokens, than it came with.

In: a configuration and a tokenizer, and what is wanted. Out: both changed, and each tensor changed as it passes by.

- A shorter context keeps the first positions. In a longer one position p gets the vector of position p modulo the old
  length, as Longformer does (Beltagy et al., 2020, arXiv:2004.05150, section 5): near tokens are told apart as before,
  and training on long texts does the rest. Rotary positions have no vectors.
- Rows that only fill up the tables stand for no token, and are left out: others would write them as tokens.
- A new special token gets a vector from the spread of all (`kgpt.model.vocabulary`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from kgpt.config import ModelConfig
from kgpt.errors import KgptError
from kgpt.interop.correspondence import Array
from kgpt.language import _
from kgpt.model import vocabulary
from kgpt.model.shapes import HEAD, POSITIONS, TOKENS
from kgpt.text.special_tokens import special_literals
from kgpt.text.tokenizer import Tokenizer

PADDED_TO = (8, 16, 32, 64, 128, 256, 512)
"""Multiples to which others fill up their tables."""


def with_tokenizer(config: ModelConfig, tokenizer: Tokenizer, source: object) -> ModelConfig:
    """The configuration with the tokenizer's vocabulary, whose tables may be filled up to a multiple.

    Raises:
        KgptError: the tables have other rows than the tokenizer has ids.
    """
    rows, ids = config.vocabulary_size, tokenizer.vocabulary_size
    multiples = (1, *PADDED_TO)
    found = next(
        (multiple for multiple in multiples if -(-ids // multiple) * multiple == rows), None
    )
    if found is None:
        raise KgptError(
            _("Tokenizer does not fit the model"),
            _(
                "{source}: the model has {rows:,} tokens, its tokenizer {ids:,}.",
                source=source,
                rows=rows,
                ids=ids,
            ),
            _("Put the tokenizer files that belong to the model into its folder."),
        )
    return dataclasses.replace(config, vocabulary_size=ids, vocabulary_multiple=found)


def unfilled(config: ModelConfig) -> ModelConfig:
    """The configuration with tables that have a row for each token, and no other."""
    return dataclasses.replace(config, vocabulary_multiple=1)


def with_context(config: ModelConfig, length: int | None) -> ModelConfig:
    """The configuration with a context of `length` tokens; None leaves it.

    Raises:
        KgptError: it is shorter than one token.
    """
    return config if length is None else dataclasses.replace(config, context_length=length)


def with_tokens(
    config: ModelConfig, tokenizer: Tokenizer, names: Sequence[str]
) -> tuple[ModelConfig, Tokenizer]:
    """Configuration and tokenizer with more special tokens, whose ids follow the others.

    Raises:
        KgptError: one is no special token's name, or is there already.
    """
    added = special_literals(names)
    there = [token for token in added if token in tokenizer.vocabulary]
    if there:
        raise KgptError(
            _("Token exists"),
            _("The tokenizer has {there} already.", there=", ".join(there)),
            _("Leave out --add-token for it."),
        )
    if not added:
        return config, tokenizer
    grown = vocabulary.with_tokens(tokenizer, added)
    return dataclasses.replace(config, vocabulary_size=grown.vocabulary_size), grown


def adapted(name: str, value: Array, before: ModelConfig, after: ModelConfig) -> Array:
    """The tensor `name` (below `gpt/`) of a model `before`, as one `after` has it."""
    if name == TOKENS:
        return vocabulary.with_rows(value, before, after)
    if name == HEAD:
        return vocabulary.with_rows(value.T, before, after).T
    if name == POSITIONS and before.context_length != after.context_length:
        return value[np.arange(after.context_length) % before.context_length]
    return value
