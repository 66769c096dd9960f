"""Find documents that are copies of earlier ones, exact or near, in any number of them.

In: memory-mapped arrays of keys or signatures (`kgpt.text.signatures`), a row a document, and a folder for scratch
files. Out: a memory-mapped array in that folder, True for each document to leave out.

Memory is bounded whatever the number of documents: see `kgpt.text.grouping`. Near duplicates take, beside the
signatures, as much scratch space as `BANDS` pairs of 16 bytes a document.
"""

from __future__ import annotations

import mmap
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgpt.files import disk_failure
from kgpt.text.grouping import PAIR, PAIRS_IN_MEMORY, Dealer, Pairs, grouped, pairs
from kgpt.text.signatures import (
    BANDS,
    combine_keys,
    document_key,
    lone_signature,
    signature,
    signatures,
)

__all__ = [
    "BANDS",
    "combine_keys",
    "document_key",
    "exact_duplicates",
    "lone_signature",
    "near_duplicates",
    "signature",
    "signatures",
]

Flags = NDArray[np.bool_]


def exact_duplicates(keys: NDArray[np.uint64], scratch: Path) -> Flags:
    """(N,) which documents have the key of an earlier one: of equal documents the first stays.

    Args:
        keys: (N,) the documents' keys, a memory map or an array.
        scratch: an existing folder; the result is its file `exact-duplicates.bin`.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written.
    """
    with _working_folder(scratch) as folder:
        duplicates = _flags(scratch / "exact-duplicates.bin", len(keys))
        for rows, starts in grouped(_blocks(keys[:, None], None), len(keys), folder):
            duplicates[rows] = True
            if len(starts):
                duplicates[np.minimum.reduceat(rows, starts)] = False
    return duplicates


def near_duplicates(bands: NDArray[np.uint64], scratch: Path, skip: Flags | None = None) -> Flags:
    """(N,) which documents share a band with an earlier document that stays.

    A document that is near only to documents that are left out stays itself: chains do not carry on.

    Args:
        bands: (N, BANDS) the documents' signatures, a memory map or an array.
        scratch: an existing folder; the result is its file `near-duplicates.bin`.
        skip: (N,) documents that are out already: they take no part, and are False in the result.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written.
    """
    with _working_folder(scratch) as folder:
        duplicates = _flags(scratch / "near-duplicates.bin", len(bands))
        (folder / "groups").mkdir()
        members = Dealer(folder / "members")
        groups = 0
        rows_in_file = max(1, PAIRS_IN_MEMORY // max(1, bands.shape[1]))
        for rows, starts in grouped(_blocks(bands, skip), bands.size, folder / "groups"):
            shared, groups = _shared(rows, starts, groups)
            members.deal(shared, shared["row"] // np.uint64(rows_in_file))
        with _bytes(folder / "taken", groups) as taken:
            for path in members.paths():
                duplicates[_near_taken(np.fromfile(path, PAIR), taken)] = True
                path.unlink()
    return duplicates


def _shared(rows: NDArray[np.uint64], starts: NDArray[np.int64], groups: int) -> tuple[Pairs, int]:
    """The members of groups of two and more, as pairs of group and row, and how many such groups there are by now."""
    if not len(starts):
        return pairs(np.full(len(rows), groups - 1, np.uint64), rows), groups
    sizes = np.diff(starts, append=len(rows))
    is_shared = sizes > 1
    names = groups + np.cumsum(is_shared) - 1
    is_member = np.repeat(is_shared, sizes)
    return pairs(np.repeat(names[is_shared], sizes[is_shared]), rows[is_member]), groups + int(
        is_shared.sum()
    )


def _near_taken(members: Pairs, taken: mmap.mmap) -> list[int]:
    """The rows that are in a group with a row that stays; `taken` has a byte a group, 1 where a row of it stays."""
    members = members[np.argsort(members["row"], kind="stable")]
    bounds = [
        *np.flatnonzero(np.diff(members["row"], prepend=np.uint64(2**64 - 1))).tolist(),
        len(members),
    ]
    rows, groups = members["row"].tolist(), members["value"].tolist()
    near = []
    for start, end in zip(bounds, bounds[1:], strict=False):
        for group in groups[start:end]:
            if taken[group]:
                near.append(rows[start])
                break
        else:
            for group in groups[start:end]:
                taken[group] = 1
    return near


def _blocks(values: NDArray[np.uint64], skip: Flags | None) -> Iterator[Pairs]:
    """The values of an array (N, K) as pairs with their rows, `PAIRS_IN_MEMORY` at once."""
    width = values.shape[1]
    step = max(1, PAIRS_IN_MEMORY // max(1, width))
    for first in range(0, len(values), step):
        block = values[first : first + step]
        rows = np.arange(first, first + len(block), dtype=np.uint64)
        if skip is not None:
            is_in = ~skip[first : first + step]
            block, rows = block[is_in], rows[is_in]
        yield pairs(block.reshape(-1), np.repeat(rows, width))
        _release(values)


def _release(array: NDArray[np.uint64]) -> None:
    """Give back the memory that reading a memory-mapped array took: its pages are in the file."""
    if isinstance(array, np.memmap) and array.mode != "c":
        base = array.base
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap):
            base.madvise(mmap.MADV_DONTNEED)


@contextmanager
def _working_folder(scratch: Path) -> Iterator[Path]:
    """A folder inside `scratch`, removed in the end; what goes wrong with the disk ends in a `KgptFailure`."""
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="duplicates-", dir=scratch))
        yield folder
    except OSError as error:
        raise disk_failure(error, scratch) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _flags(path: Path, size: int) -> Flags:
    """A memory-mapped (size,) array of False."""
    if not size:
        return np.zeros(0, np.bool_)
    _write_zeros(path, size)
    return np.memmap(path, np.bool_, "r+", shape=(size,))


@contextmanager
def _bytes(path: Path, size: int) -> Iterator[mmap.mmap]:
    """`size` zeros that can be read and written, in a file and not in memory."""
    _write_zeros(path, max(1, size))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        yield content


def _write_zeros(path: Path, size: int) -> None:
    """Zeros written out, so that a full disk is an error here and not a crash at a later write into the map."""
    with open(path, "wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(bytes(min(1 << 20, size - start)))
