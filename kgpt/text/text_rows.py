"""Texts as rows of ids: what a classifier reads, in training and later.

In: texts, a tokenizer, the most ids a row may have, how texts are cleaned. Out: a list of ids for each text, how many
texts were cut; and rows as a matrix.

A row begins with the end of text, as each document does in pretraining, so that a text of no tokens has a row too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kgpt.text.cleaning import Cleaner
from kgpt.text.tokenizer import Tokenizer

Ids = npt.NDArray[np.int32]
MULTIPLE = 8
"""Rows are filled up to a multiple of this, so that there are few shapes."""


class TextRows(NamedTuple):
    """Encoded texts."""

    rows: list[list[int]]
    cut: int
    """Texts that were longer, and have lost their end."""
    lengths: list[int]
    """Ids of each text, the end of text before it included, had it not been cut."""


def text_rows(
    texts: Sequence[str], tokenizer: Tokenizer, longest: int, cleaner: Cleaner | None = None
) -> TextRows:
    """The ids of each text, `longest` at most; the text is cleaned by `cleaner` first."""
    if cleaner is not None:
        texts = [cleaner.clean(text).text for text in texts]
    whole = [[tokenizer.end_of_text, *tokenizer.encode(text)] for text in texts]
    lengths = [len(row) for row in whole]
    return TextRows([row[:longest] for row in whole], sum(n > longest for n in lengths), lengths)


def filled_length(length: int, longest: int) -> int:
    """The length that a row is filled up to."""
    return min(longest, -(-length // MULTIPLE) * MULTIPLE)


def filled(rows: Sequence[Sequence[int]], longest: int, filling: int) -> Ids:
    """Rows as a matrix (B, T), filled up at their ends to a multiple of `MULTIPLE`, but not above `longest`."""
    time = filled_length(max(map(len, rows)), longest)
    ids = np.full((len(rows), time), filling, "int32")
    for row, found in zip(ids, rows, strict=True):
        row[: len(found)] = found
    return ids
