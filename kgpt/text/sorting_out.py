"""The second stage of preparing text: what becomes of each document.

In: the chunks. Out: a `Verdict`, with a number for each document: left out, held out for validation, or how often it
is trained on. All that is known of the documents lies in memory maps, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgpt.text.chunks import Chunk
from kgpt.text.duplicates import (
    BANDS,
    combine_keys,
    exact_duplicates,
    lone_signature,
    near_duplicates,
)
from kgpt.text.split import (
    ValidationOption,
    hold_out_by_threshold,
    hold_out_random,
    hold_out_tail,
    random_share,
    slices,
)

DedupeOption = Literal["off", "exact", "near"]

LEFT_OUT, VALIDATION = 0, 255
"""Verdicts; anything between is the number of times that a document is trained on."""
MOST_COPIES = VALIDATION - 1
_ZEROS = 1 << 22


@dataclass(frozen=True)
class Verdict:
    """What becomes of the documents."""

    fate: NDArray[np.uint8]
    """`LEFT_OUT`, `VALIDATION` or a number of copies (documents,)."""
    first_document: list[int]
    """Number of the first document in each chunk, and at the end the number of all."""
    duplicates: int
    """Documents that a document before them makes superfluous, removed or not."""
    removed: int
    """Those that were left out."""
    bytes_to_write: int
    """Of text, every copy counted."""
    train_share: float
    """Share of the characters to train on, where one document is all there is and is cut; else 1."""

    @property
    def kept(self) -> int:
        """Documents that are not left out."""
        return sum(int(np.count_nonzero(self.fate[part])) for part in slices(len(self.fate)))

    @property
    def passes(self) -> int:
        """How often the chunks are gone through so that each document is trained on as often as it should be."""
        parts = (self.fate[part] for part in slices(len(self.fate)))
        return max((int(part[part != VALIDATION].max(initial=1)) for part in parts), default=1)

    def of_chunk(self, index: int) -> NDArray[np.uint8]:
        """The fates of the documents in a chunk; the last one may go on in the next (documents,)."""
        begin, end = self.first_document[index], self.first_document[index + 1]
        return np.array(self.fate[begin : end + 1])


def sort_out(
    chunks: Sequence[Chunk],
    scratch: Path,
    *,
    dedupe: DedupeOption,
    weights: Sequence[float],
    validation: ValidationOption,
    validation_fraction: float,
    seed: int,
    is_part: bool,
) -> Verdict:
    """Decide about every document.

    Args:
        chunks: all there are.
        scratch: a folder for files; the verdict lies there too.
        dedupe: which copies are left out; the first one stays.
        weights: how often documents of each source are trained on; 1.5 is once or twice, drawn by their text.
        validation: how documents are held out.
        validation_fraction: share of the bytes.
        seed: of the draws.
        is_part: whether other parts of the corpus are prepared elsewhere: then a document's side must not depend on
            the others.

    Raises:
        KgptError: too little text to hold some out.
    """
    first_document = [0, *accumulate(int(chunk.numbers("ends_document").sum()) for chunk in chunks)]
    count = first_document[-1]
    fate = _file(scratch / "fate", np.uint8, count)
    keys, sizes, sources = _tables(chunks, scratch, count)
    is_copy = exact_duplicates(keys, scratch)
    is_superfluous = is_copy
    if dedupe == "near":
        is_near = near_duplicates(_bands(chunks, scratch, keys), scratch, is_copy)
        is_superfluous = _either(is_near, is_copy)
    duplicates = sum(int(np.count_nonzero(is_superfluous[part])) for part in slices(count))
    if dedupe != "off":
        for part in slices(count):
            sizes[part][np.asarray(is_superfluous[part], bool)] = 0
    removed = duplicates if dedupe != "off" else 0
    if count == 1 and not is_part:
        fate[:] = 1
        share = 1 - validation_fraction
        return Verdict(fate, first_document, duplicates, removed, int(sizes[0]), share)
    held_out = _file(scratch / "held_out", np.bool_, count)
    if is_part:
        hold_out_by_threshold(keys, sizes, held_out, validation_fraction, seed)
    elif validation == "tail":
        hold_out_tail(keys, sizes, is_copy, held_out, validation_fraction)
    else:
        hold_out_random(keys, sizes, held_out, validation_fraction, seed)
    bytes_to_write = 0
    for part in slices(count):
        copies = _copies(keys[part], np.asarray(weights)[sources[part]], seed)
        fate[part] = np.where(held_out[part], VALIDATION, copies)
        fate[part][sizes[part] == 0] = LEFT_OUT
        times = np.where(held_out[part], 1, fate[part])
        bytes_to_write += int((sizes[part] * times).sum())
    return Verdict(fate, first_document, duplicates, removed, bytes_to_write, 1)


def _copies(keys: NDArray[Any], weight: NDArray[Any], seed: int) -> NDArray[Any]:
    """How often each document is trained on: its weight, rounded down or up by chance."""
    whole = np.floor(weight)
    copies: NDArray[Any] = whole + (random_share(keys, seed) < weight - whole)
    return copies


def _tables(
    chunks: Sequence[Chunk], scratch: Path, count: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint32]]:
    """Key, size in bytes and number of the source of each document, from the rows of its pieces."""
    keys = _file(scratch / "keys", np.uint64, count)
    sizes = _file(scratch / "sizes", np.uint64, count)
    sources = _file(scratch / "sources", np.uint32, count)
    begun: list[int] = []
    begun_size = document = 0
    for chunk in chunks:
        ends = np.flatnonzero(chunk.numbers("ends_document"))
        key, size, source = (chunk.numbers(name) for name in ("key", "size", "source"))
        is_single = np.diff(ends, prepend=-1) == 1
        is_single[:1] &= not begun
        numbers = document + np.arange(len(ends))
        keys[numbers], sizes[numbers], sources[numbers] = key[ends], size[ends], source[ends]
        for index in np.flatnonzero(~is_single):
            start = int(ends[index - 1]) + 1 if index else 0
            pieces = slice(start, int(ends[index]) + 1)
            keys[document + index] = combine_keys([*begun, *map(int, key[pieces])])
            sizes[document + index] = begun_size + int(size[pieces].sum())
            begun, begun_size = [], 0
        after = int(ends[-1]) + 1 if len(ends) else 0
        begun += map(int, key[after:])
        begun_size += int(size[after:].sum())
        document += len(ends)
    return keys, sizes, sources


def _bands(chunks: Sequence[Chunk], scratch: Path, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The signature of each document; a long one, of several pieces, has none that is like another's."""
    bands = _file(scratch / "bands", np.uint64, (len(keys), BANDS))
    document, is_inside = 0, False
    for chunk in chunks:
        is_end = chunk.numbers("ends_document")
        ends = np.flatnonzero(is_end)
        bands[document : document + len(ends)] = chunk.numbers("bands")[ends]
        is_long = np.diff(ends, prepend=-1) > 1
        is_long[:1] |= is_inside
        for number in document + np.flatnonzero(is_long):
            bands[number] = lone_signature(int(keys[number]))
        document += len(ends)
        is_inside = not is_end[-1] if len(is_end) else is_inside
    return bands


def _either(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    for part in slices(len(first)):
        first[part] |= second[part]
    return first


def _file(path: Path, dtype: Any, shape: int | tuple[int, int]) -> NDArray[Any]:
    """A new array of zeros that lies in a file."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if not size:
        return np.zeros(shape, dtype)
    # Written and not just declared: a disk that fills up later would end the process without a word.
    with open(path, "wb") as file:
        for start in range(0, size, _ZEROS):
            file.write(bytes(min(_ZEROS, size - start)))
    return np.memmap(path, dtype, "r+", shape=shape)
