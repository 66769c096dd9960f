"""Tokens to measure a model on, and what came of it. Loads neither Keras nor TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kgpt.errors import KgptError


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
            "Nothing to measure", "The text has no tokens.", "Give a text that is not empty."
        )
