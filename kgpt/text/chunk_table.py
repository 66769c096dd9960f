"""A hash table from short byte strings to numbers that looks up many at once.

In: keys, as rows of three 64-bit words each. Out: the number of each, 0 where it has none. It is what makes encoding
fast: NumPy compares a hundred thousand keys in the time in which a Python dictionary is asked for ten thousand.

Keys are compared whole, so there are no false answers. The table is open-addressed with linear probing (Knuth, The Art
of Computer Programming 3, 6.4), at most half full, and grows fourfold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEY_BYTES = 23
"""Bytes of the longest string that is a key; the 24th byte of a row says how long it is."""
Words = NDArray[np.uint64]

_FIRST_BITS = 15
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_KEY, _WHOLE = np.dtype("V24"), np.dtype("V32")


def _masks() -> Words:
    """For each length, ones where a row holds bytes of a string that long."""
    rows = np.zeros((KEY_BYTES + 1, KEY_BYTES + 1), np.uint8)
    for length in range(KEY_BYTES + 1):
        rows[length, :length] = 0xFF
    return rows.view("<u8")


_MASKS = _masks()


def keys_of(padded: NDArray[np.uint8], starts: NDArray[Any], lengths: NDArray[Any]) -> Words:
    """The keys (W, 3) of the strings of `lengths` (W,) that begin at `starts` (W,).

    A string that is too long gets a key that no other has, and that is not to be added.

    `padded` (N,) are bytes with `KEY_BYTES + 1` more at the end than belong to any string.
    """
    every = np.ndarray(len(padded) - KEY_BYTES, _KEY, padded.data, strides=(1,))
    keys: Words = every[starts].view("<u8").reshape(-1, 3)
    keys &= _MASKS.take(lengths, axis=0, mode="clip")
    keys[:, 2] |= np.minimum(lengths, 0xFF).astype(np.uint64) << np.uint64(56)
    return keys


class ChunkTable:
    """Keys and their numbers; a number is not 0."""

    def __init__(self) -> None:
        self.count = 0
        """How many keys it has."""
        self._bits = _FIRST_BITS
        self._rows: Words = np.zeros((1 << self._bits, 4), np.uint64)

    def find(self, keys: Words) -> Words:
        """The number of each key (W, 3), 0 where it has none."""
        place = self._places(keys)
        rows = self._rows.take(place, axis=0)
        same = _equal(rows, keys)
        found = np.where(same, rows[:, 3], 0)
        left = np.flatnonzero(~same & (rows[:, 3] != 0))
        while len(left):
            place[left] = (place[left] + 1) & (len(self._rows) - 1)
            rows = self._rows.take(place[left], axis=0)
            same = _equal(rows, keys[left])
            found[left[same]] = rows[same, 3]
            left = left[~same & (rows[:, 3] != 0)]
        return found

    def add(self, keys: Words, numbers: Words) -> None:
        """Add distinct keys (W, 3) that it does not have, with their numbers (W,), which are distinct too."""
        while 2 * (self.count + len(keys)) > len(self._rows):
            self._grow()
        self.count += len(keys)
        rows = np.empty((len(keys), 4), np.uint64)
        rows[:, :3], rows[:, 3] = keys, numbers
        place = self._places(keys)
        numbers_here = self._rows[:, 3]
        whole_rows, whole_here = rows.view(_WHOLE)[:, 0], self._rows.view(_WHOLE)[:, 0]
        left = np.arange(len(rows))
        while len(left):
            free = left[numbers_here[place[left]] == 0]
            whole_here[place[free]] = whole_rows[free]
            # Several may have gone for one place; one of them has it.
            left = left[numbers_here[place[left]] != rows[left, 3]]
            place[left] = (place[left] + 1) & (len(self._rows) - 1)

    def _grow(self) -> None:
        old = self._rows[self._rows[:, 3] != 0]
        self._bits += 2
        self._rows = np.zeros((1 << self._bits, 4), np.uint64)
        self.count = 0
        if len(old):
            self.add(old[:, :3], old[:, 3])

    def _places(self, keys: Words) -> NDArray[np.intp]:
        mixed = keys[:, 0] * np.uint64(_MULTIPLIERS[0])
        mixed ^= keys[:, 1] * np.uint64(_MULTIPLIERS[1])
        mixed ^= keys[:, 2] * np.uint64(_MULTIPLIERS[2])
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(_MULTIPLIERS[0])
        return (mixed >> np.uint64(64 - self._bits)).astype(np.intp)


def _equal(rows: Words, keys: Words) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (
        (rows[:, 0] == keys[:, 0]) & (rows[:, 1] == keys[:, 1]) & (rows[:, 2] == keys[:, 2])
    )
    return same
