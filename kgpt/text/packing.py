"""Short texts that share rows: lengths in, the texts of each row out."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence


def packed(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Places of the texts of each row, so that no row is longer than `size` and few rows are needed.

    The longest text comes first, and each goes where the least room stays free (best fit, decreasing). A text longer
    than a row gets one of its own.
    """
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # room and number of each row, the least room first
    for place in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        length = lengths[place]
        found = bisect_left(free, (length, -1))
        if found == len(free):
            room, row = size, len(rows)
            rows.append([])
        else:
            room, row = free.pop(found)
        rows[row].append(place)
        insort(free, (max(0, room - length), row))
    return rows
