"""Tokens to measure a model on, and what came of it. Loads neither Keras nor TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from kgpt.errors import KgptError
from kgpt.evaluation.statistics import Figure
from kgpt.language import _

STRETCH_BYTES = 1024
"""Of text that counts as one item for standard errors: neighbouring tokens are alike, stretches much less so."""


class TokenStream(Protocol):
    """Token ids that can be read at random places."""

    def __len__(self) -> int:
        """Number of tokens."""

    def window(self, start: int, length: int) -> npt.NDArray[np.integer]:
        """The `length` tokens from `start` on."""


@dataclass(frozen=True)
class Loss:
    """Negative log-likelihood of a text."""

    loss: float
    """Nats a token."""
    tokens: int
    bytes: int
    """Bytes of the raw UTF-8 text that the tokens stand for."""
    figures: dict[str, Figure] = field(default_factory=dict, compare=False, repr=False)
    """`loss` and `bits_per_byte` over stretches of the text, where bytes of tokens were known."""

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_byte(self) -> float:
        """Loss in bits over the bytes of the raw text: comparable between tokenizers."""
        return self.loss * self.tokens / math.log(2) / max(self.bytes, 1)


class InMemoryTokens:
    """A list of token ids as a token stream."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = np.asarray(ids, dtype="int64")

    def __len__(self) -> int:
        return len(self._ids)

    def window(self, start: int, length: int) -> npt.NDArray[np.integer]:
        """The `length` tokens from `start` on."""
        return self._ids[start : start + length]


class Stretches:
    """Sums of surprise over stretches of a text, as its tokens come in their order."""

    def __init__(self, token_bytes_V: npt.NDArray[np.integer], num_bytes: int) -> None:
        count = max(1, -(-num_bytes // STRETCH_BYTES))
        self._token_bytes_V, self._position = token_bytes_V, 0
        self._nats, self._tokens, self._bytes = (np.zeros(count) for _ in range(3))

    def add(self, ids_N: npt.NDArray[np.integer], nats_N: npt.NDArray[np.floating[Any]]) -> None:
        """Take the next tokens; one belongs to the stretch in which it begins."""
        sizes_N = self._token_bytes_V[ids_N].astype("int64")
        begins_N = self._position + np.cumsum(sizes_N) - sizes_N
        index_N = np.minimum(begins_N // STRETCH_BYTES, len(self._nats) - 1)
        np.add.at(self._nats, index_N, nats_N)
        np.add.at(self._tokens, index_N, 1)
        np.add.at(self._bytes, index_N, sizes_N)
        self._position += int(sizes_N.sum())

    def figures(self) -> dict[str, Figure]:
        """Loss and bits per byte, with what their standard errors need."""
        bits = self._nats / math.log(2)
        return {
            "loss": Figure.of(self._nats, self._tokens, higher_is_better=False),
            "bits_per_byte": Figure.of(bits, self._bytes, higher_is_better=False),
        }


def window_places(count: int, length: int, stride: int) -> Iterator[tuple[int, int]]:
    """Where windows of `length` begin in a text of `count` tokens, and how many first ones of each were scored before.

    Every token is scored once: those of the first window, then the last `stride` of each window, which all see
    `length - stride` tokens of their window before them, as in transformers' guide to the perplexity of models of
    fixed length.
    """
    start = scored = 0
    while scored < count:
        yield start, scored - start
        scored, start = min(start + length, count), start + stride


def window(
    tokens: TokenStream, start: int, length: int, end_of_text: int
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]:
    """What a model reads and what it shall say from `start` on: ids (T,) and the same moved by one, at most `length`.

    The first is read after the token before the window; at the very beginning that is the end of a text.
    """
    targets = np.asarray(tokens.window(start, min(length, len(tokens) - start)))
    before = int(tokens.window(start - 1, 1)[0]) if start else end_of_text
    return np.concatenate([[before], targets[:-1]]), targets


def check_not_empty(tokens: TokenStream) -> None:
    """Refuse a text without tokens.

    Raises:
        KgptError: there are none.
    """
    if not len(tokens):
        raise KgptError(
            _("Nothing to measure"),
            _("The text has no tokens."),
            _("Give a text that is not empty."),
        )
