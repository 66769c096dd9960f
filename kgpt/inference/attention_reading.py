"""What a model looks at: a model and token ids in, how much each token draws on each before it out.

Axes: T time (the token that looks), S time (what it looks at), H heads, L layers, W words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kgpt.inference.words import Span

Kind = Literal["weights", "rollout"]
Matrix = npt.NDArray[np.float64]


def attention_matrix(
    model: Any,
    ids: Sequence[int],
    kind: Kind = "weights",
    layer: int | None = None,
    head: int | None = None,
) -> Matrix:
    """How much each token draws on each up to itself: (T, S), whose rows sum to 1.

    Args:
        model: a `kgpt.model.gpt.GPT`.
        ids: the text, at most as long as the context.
        kind: the weights themselves, or what they come to when they are rolled out through the layers.
        layer: from 0; None is the mean of all layers, and for a rollout all of them.
        head: from 0; None is the mean of the heads.
    """
    last = model.config.num_layers - 1 if layer is None else layer
    each = _by_layer(model, ids, last, head)
    if kind == "rollout":
        return rolled_out(each)
    return np.mean(each, axis=0) if layer is None else each[-1]


def _by_layer(model: Any, ids: Sequence[int], last: int, head: int | None) -> list[Matrix]:
    """For each layer up to `last` one head's weights (T, S), or the mean of all heads."""
    found = []
    for number, weights in enumerate(model.attentions(np.array([ids], dtype="int32"))):
        weights_HTS = np.asarray(weights[0], dtype="float64")
        found.append(weights_HTS.mean(axis=0) if head is None else weights_HTS[head])
        if number == last:
            break
    return found


def rolled_out(each: Sequence[Matrix]) -> Matrix:
    """Attention rollout (Abnar and Zuidema, 2020, arXiv:2005.00928): what the last layer draws on in the input.

    A block adds to each vector what attention brings, so that half of a token is taken from itself; the matrices of
    the layers, the first one innermost, are then multiplied.
    """
    size = len(each[0])
    total = np.eye(size)
    for weights_TS in each:
        total = (0.5 * weights_TS + 0.5 * np.eye(size)) @ total
    return np.asarray(total)


def by_word(row_S: Matrix, words: Sequence[Span]) -> Matrix:
    """What a token draws on each word (W,): the sum over the word's tokens."""
    return np.array([row_S[first:end].sum() for first, end in words])
