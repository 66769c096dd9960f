"""Text to ids, fast: what a tokenizer uses for everything longer than a prompt.

In: texts. Out: their ids in one array, and how many each text has.

Text is first cut into chunks, which are a few words with the white space before them (`PreTokenization` says where that
is safe), by comparing bytes. Natural text repeats its chunks, so the ids of most are found in a `ChunkTable`, many
thousand at a time. What is new is cut into words by the pre-tokenization's regular expression, and the words not seen
before are merged by `tokenizers` (Rust). Tables and dictionary are emptied when they reach their bounds, so memory is
bounded (about 150 MB) on any text.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.text.chunk_table import KEY_BYTES, ChunkTable, Words, keys_of
from kgpt.text.chunking import chunk_starts
from kgpt.text.pieces import pieces
from kgpt.text.pretokenization import PreTokenization

BLOCK_BYTES = 1 << 18
"""Text that is encoded at once: its arrays fit into a processor's cache."""
MOST_CHUNKS = 1 << 19
"""Chunks after which everything is forgotten: about 60 MB."""
MOST_WORD_BYTES = 1 << 26
"""Memory of words after which everything is forgotten."""
_WORD_BYTES = 200
"""What remembering a word takes, apart from its length."""

Ids = NDArray[Any]
_SHIFT, _COUNT = np.uint64(32), np.uint64(0xFFFFFFFF)


class Encoder:
    """Encodes with one tokenizer, and remembers what it has met.

    Args:
        merge: the ids of each of some words.
        rule: how text is cut into words.
        dtype: what an id is written as.
    """

    def __init__(
        self,
        merge: Callable[[Sequence[str]], Iterable[Sequence[int]]],
        rule: PreTokenization,
        dtype: np.dtype[Any],
    ) -> None:
        self._merge, self._rule, self._dtype = merge, rule, dtype
        self._in_use = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._words: dict[str, bytes] = {}
        self._word_bytes = 0
        self._table = ChunkTable()
        self._pool = np.zeros(1 << 14, self._dtype)
        """The ids of every chunk in the table, one after the other; a chunk's number is place * 2**32 + count."""
        self._filled = 0

    def encode(self, texts: Sequence[str]) -> tuple[Ids, list[int]]:
        """The ids of all texts in a row, and how many each has.

        Raises:
            UnicodeEncodeError: a text holds half of a surrogate pair.
        """
        cut = [[piece.encode() for piece in pieces(text, BLOCK_BYTES)] for text in texts]
        found = [np.empty(0, self._dtype)]
        counts: list[int] = []
        for block in _blocks(piece for parts in cut for piece in parts):
            with self._in_use:  # threads share what is remembered
                ids, numbers = self._block(block)
            found.append(ids)
            counts += numbers
        in_order = iter(counts)
        return np.concatenate(found), [sum(islice(in_order, len(parts))) for parts in cut]

    def _block(self, texts: list[bytes]) -> tuple[Ids, list[int]]:
        """As `encode`. Axes: T texts, W chunks."""
        if self._table.count > MOST_CHUNKS or self._word_bytes > MOST_WORD_BYTES:
            self._forget()
        ends_T = np.cumsum([len(text) for text in texts])
        content = b"".join(texts)
        padded = np.frombuffer(content + bytes(KEY_BYTES + 1), np.uint8)
        starts_W = chunk_starts(padded[: len(content)], ends_T, self._rule.line_ends_join)
        numbers_W = self._numbers(content, padded, starts_W)
        counts_W = (numbers_W & _COUNT).astype(np.intp)
        ends_W = np.cumsum(counts_W)
        places = np.repeat((numbers_W >> _SHIFT).astype(np.intp) - (ends_W - counts_W), counts_W)
        places += np.arange(len(places))
        ids_before_W = np.concatenate([[0], ends_W])
        ids_before_T = ids_before_W[np.searchsorted(starts_W, ends_T)]
        return self._pool.take(places), np.diff(ids_before_T, prepend=0).tolist()

    def _numbers(self, content: bytes, padded: NDArray[np.uint8], starts_W: NDArray[Any]) -> Words:
        """Where in the pool the ids of each chunk are, and how many."""
        lengths_W = np.diff(starts_W, append=len(content))
        keys_W = keys_of(padded, starts_W, lengths_W)
        numbers_W = self._table.find(keys_W)
        new = np.flatnonzero(numbers_W == 0)
        if len(new):
            firsts, ends = starts_W[new].tolist(), (starts_W + lengths_W)[new].tolist()
            chunks = [content[first:end] for first, end in zip(firsts, ends, strict=True)]
            numbers_W[new] = self._learn(chunks, keys_W[new])
        return numbers_W

    def _learn(self, chunks: list[bytes], keys: Words) -> Words:
        """The numbers of chunks that the table does not have; from now on it has those that are short enough."""
        distinct = {chunk: index for index, chunk in enumerate(chunks)}
        order = sorted(distinct, key=lambda chunk: len(chunk) > KEY_BYTES)
        ids, counts = self._merge_all([chunk.decode() for chunk in order])
        self._store(ids)
        places = self._filled + np.cumsum(counts) - counts
        numbers = (places.astype(np.uint64) << _SHIFT) | counts.astype(np.uint64)
        short = sum(len(chunk) <= KEY_BYTES for chunk in order)
        self._table.add(keys[[distinct[chunk] for chunk in order[:short]]], numbers[:short])
        self._filled += int(counts[:short].sum())
        number_of = dict(zip(order, numbers.tolist(), strict=True))
        return np.array([number_of[chunk] for chunk in chunks], np.uint64)

    def _merge_all(self, texts: list[str]) -> tuple[Ids, NDArray[np.intp]]:
        """The ids of all texts in a row, and how many each has."""
        words = self._rule.words(texts)
        self._learn_words(words)
        found = [self._words[word] for word in words]
        ids = np.frombuffer(b"".join(found), self._dtype)
        ends = np.cumsum(np.fromiter(map(len, words), np.intp))
        ids_before = np.cumsum([0, *map(len, found)]) // self._dtype.itemsize
        text_ends = np.cumsum(np.fromiter(map(len, texts), np.intp))
        return ids, np.diff(ids_before[np.searchsorted(ends, text_ends) + 1], prepend=0)

    def _learn_words(self, words: list[str]) -> None:
        new = [word for word in set(words) if word not in self._words]
        code = "H" if self._dtype.itemsize == 2 else "I"
        for word, ids in zip(new, self._merge(new), strict=True):
            packed = struct.pack(f"<{len(ids)}{code}", *ids)
            self._words[word] = packed
            self._word_bytes += _WORD_BYTES + 4 * len(word) + len(packed)

    def _store(self, new: Ids) -> None:
        """Write ids behind those of the table's chunks."""
        end = self._filled + len(new)
        if end > len(self._pool):
            room = np.zeros(2 * end, self._dtype)
            room[: self._filled] = self._pool[: self._filled]
            self._pool = room
        self._pool[self._filled : end] = new


def _blocks(texts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Texts in lists of about `BLOCK_BYTES`."""
    block: list[bytes] = []
    size = 0
    for text in texts:
        block.append(text)
        size += len(text)
        if size >= BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block
