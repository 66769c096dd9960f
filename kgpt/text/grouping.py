"""Bring equal values together, in any number of them.

In: pairs of a 64-bit value and the row it comes from, block by block. Out: blocks of rows with the places where a group
of equal values starts in them.

More pairs than `PAIRS_IN_MEMORY` are dealt to files by the upper bits of their values, and each file is sorted by
itself; values must be hashes, so that the files are of about one size. A process holds a few arrays of
`PAIRS_IN_MEMORY`; the files take 16 bytes a pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PAIRS_IN_MEMORY = 1 << 20
PAIR = np.dtype([("value", "<u8"), ("row", "<u8")])
_BITS = 8
"""At most 2**_BITS files are dealt to at once."""

Pairs = NDArray[Any]
"""(N,) of `PAIR`."""
Group = tuple[NDArray[np.uint64], NDArray[np.int64]]
"""Rows, and where groups start in them: at 0 and more places, or nowhere, where the block goes on with the group that
the block before it ended in."""


def pairs(values: NDArray[np.uint64], rows: NDArray[Any]) -> Pairs:
    """(N,) pairs of values (N,) and rows (N,)."""
    result = np.empty(len(values), PAIR)
    result["value"] = values
    result["row"] = rows
    return result


def grouped(
    blocks: Iterable[Pairs], total: int, folder: Path, bits_left: int = 64
) -> Iterator[Group]:
    """Blocks of rows whose values are equal, group by group. A group is in one block, unless it is larger than one.

    Args:
        blocks: pairs in ascending order of their rows, at most `PAIRS_IN_MEMORY` in a block.
        total: how many pairs there are at most.
        folder: an existing folder for files, which are removed.
        bits_left: how many of the values' lower bits differ.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    if total <= PAIRS_IN_MEMORY:
        yield from _sorted(np.concatenate([np.empty(0, PAIR), *blocks]))
        return
    bits = min(_BITS, bits_left, (2 * total // PAIRS_IN_MEMORY).bit_length())
    shift = np.uint64(bits_left - bits)
    folder = folder / str(bits_left)
    dealer = Dealer(folder)
    for block in blocks:
        dealer.deal(block, (block["value"] >> shift) & np.uint64((1 << bits) - 1))
    for path in dealer.paths():
        count = path.stat().st_size // PAIR.itemsize
        if count <= PAIRS_IN_MEMORY:
            yield from _sorted(np.fromfile(path, PAIR))
        elif _is_one_value(path):
            starts = np.zeros(1, np.int64)
            for block in read(path):
                yield block["row"], starts
                starts = starts[:0]
        else:
            yield from grouped(read(path), count, folder, bits_left - bits)
        path.unlink()
    folder.rmdir()


class Dealer:
    """Deals pairs to numbered files, which keep the order in which they came."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made anew.

        Raises:
            OSError: it cannot be made.
        """
        self.folder = folder
        folder.mkdir()

    def deal(self, block: Pairs, numbers: NDArray[Any]) -> None:
        """Append each pair to the file of its number (below 65,536).

        Raises:
            OSError: the disk is full.
        """
        numbers = numbers.astype(np.uint16)
        order = np.argsort(numbers, kind="stable")
        block, numbers = block[order], numbers[order]
        used, starts = np.unique(numbers, return_index=True)
        for number, part in zip(used, np.split(block, starts[1:]), strict=False):
            with open(self.folder / f"{number:05d}", "ab") as file:
                file.write(part.data)

    def paths(self) -> list[Path]:
        """The files that were written, in the order of their numbers."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())


def read(path: Path) -> Iterator[Pairs]:
    """The pairs of a file, block by block."""
    with open(path, "rb") as file:
        while len(block := np.fromfile(file, PAIR, PAIRS_IN_MEMORY)):
            yield block


def _sorted(block: Pairs) -> Iterator[Group]:
    if not len(block):
        return
    values = block["value"].copy()
    order = np.argsort(values)
    values = values[order]
    starts = np.flatnonzero(values[1:] != values[:-1]) + 1
    yield block["row"][order], np.concatenate([np.zeros(1, np.int64), starts])


def _is_one_value(path: Path) -> bool:
    first = np.fromfile(path, PAIR, 1)["value"]
    return all((block["value"] == first).all() for block in read(path))
