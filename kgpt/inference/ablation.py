"""What each word does for the next token: a model and a text in, the token's probability without each word out.

Attention says where a model looks, not what it uses (Jain and Wallace, 2019, arXiv:1902.10186); leaving a word out
and asking again does (leave one out, erasure: Li et al., 2016, arXiv:1612.08220). Axes: B rows, T time, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kgpt.inference.words import Span

TOKENS_AT_ONCE = 16_384
"""In a batch: a text of 100 tokens with 100 words is read in one pass."""


@dataclass(frozen=True)
class Ablation:
    """A token, how probable it is after a text, and after the text without each of its words."""

    token: int
    probability: float
    without: tuple[float, ...]
    """For each word in turn."""


def ablate(
    model: Any,
    ids: Sequence[int],
    words: Sequence[Span],
    end_of_text: int,
    token: int | None = None,
    go_on: Callable[[], bool] = lambda: True,
) -> Ablation | None:
    """Leave out each of `words` in turn, and see how probable `token` still is.

    The tokens of a word are taken out and the others keep theirs, moved up. Of a text that has one word, an end of text
    remains: the beginning of a document.

    Args:
        model: a `kgpt.model.gpt.GPT`.
        ids: the text.
        words: spans of it.
        end_of_text: the tokenizer's id.
        token: whose probability; the most probable one after the whole text if None.
        go_on: asked between batches; where it says no, there is no result.
    """
    rows = [list(ids), *([*ids[:first], *ids[end:]] for first, end in words)]
    rows = [row or [end_of_text] for row in rows]
    at_once = max(1, TOKENS_AT_ONCE // len(ids))
    chosen, found = token, []
    for first in range(0, len(rows), at_once):
        if not go_on():
            return None
        probabilities_BV = next_token_probabilities(model, rows[first : first + at_once])
        if chosen is None:
            chosen = int(probabilities_BV[0].argmax())
        found += [float(value) for value in probabilities_BV[:, chosen]]
    return Ablation(int(chosen or 0), found[0], tuple(found[1:]))


def next_token_probabilities(model: Any, rows: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """How probable each token is after each row (B, V); all rows are read in one pass.

    Shorter rows are filled up at their ends, where a causal model does not look.
    """
    from keras import ops

    lengths_B = np.array([len(row) for row in rows])
    ids_BT = np.zeros((len(rows), int(lengths_B.max())), dtype="int32")
    for number, row in enumerate(rows):
        ids_BT[number, : len(row)] = row
    x_BTC = model.hidden_states(ids_BT)
    last_B11 = (lengths_B - 1)[:, None, None].astype("int32")
    x_B1C = ops.take_along_axis(
        x_BTC, ops.broadcast_to(last_B11, (len(rows), 1, x_BTC.shape[-1])), 1
    )
    scores_BV = np.asarray(model.logits(x_B1C), dtype="float64")[:, 0]
    odds_BV = np.exp(scores_BV - scores_BV.max(axis=-1, keepdims=True))
    return np.asarray(odds_BV / odds_BV.sum(axis=-1, keepdims=True))
