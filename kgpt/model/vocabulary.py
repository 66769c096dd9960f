"""A vocabulary that grows: more special tokens for a tokenizer, and vectors for them in a model's tables.

In: tokenizer, configuration, weights. Out: the same with more tokens, whose ids follow the others.

A new token's vector is drawn from the spread of all vectors: around their mean, so that before it is trained the token
is about as likely as others (Hewitt, 2021, "Initializing new word embeddings for pretrained language models"), and
apart from other new ones, so that a model whose tables are frozen can tell them from each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kgpt.config import ModelConfig
from kgpt.text.tokenizer import Tokenizer

TABLES = ("token_embedding/embeddings", "head/kernel")
"""Ends of the paths of the variables with a vector for each token: rows of the first, columns of the second."""


def with_tokens(tokenizer: Tokenizer, literals: Sequence[str]) -> Tokenizer:
    """The tokenizer with those of these special tokens that it lacks."""
    new = [literal for literal in literals if literal not in tokenizer.vocabulary]
    if not new:
        return tokenizer
    size = tokenizer.vocabulary_size
    vocabulary = {**tokenizer.vocabulary, **{token: size + i for i, token in enumerate(new)}}
    return Tokenizer(vocabulary, tokenizer.merges, tokenizer.pre_tokenization)


def grown(
    tensors: Mapping[str, np.ndarray], before: ModelConfig, after: ModelConfig
) -> dict[str, np.ndarray]:
    """Weights by path of a model `before`, as one `after`, with a larger vocabulary, has them."""
    found = dict(tensors)
    if before.vocabulary_size != after.vocabulary_size:
        for path, value in tensors.items():
            if path.endswith(TABLES[0]):
                found[path] = with_rows(value, before, after)
            elif path.endswith(TABLES[1]):
                found[path] = np.ascontiguousarray(with_rows(value.T, before, after).T)
    return found


def with_rows(
    table_VC: npt.NDArray[np.float32], before: ModelConfig, after: ModelConfig
) -> npt.NDArray[np.float32]:
    """A table with a row for each token of `after`; the rows behind these only fill it up."""
    known_VC = table_VC[: before.vocabulary_size]
    random = np.random.default_rng(before.vocabulary_size)
    missing = after.padded_vocabulary_size - len(known_VC)
    mean_C, spread_C = known_VC.mean(axis=0, dtype="float64"), known_VC.std(axis=0, dtype="float64")
    new_VC = random.normal(mean_C, spread_C, (missing, len(mean_C)))
    return np.concatenate([known_VC, new_VC.astype("float32")])
