"""Where a text, as bytes of UTF-8, may be cut into chunks of a few words each.

In: bytes. Out: where chunks begin. A cut lies before white space that follows something else: no word of any
pre-tokenization goes on with white space, except that GPT-4's marks take the line ends after them. There the cut lies
behind the last line end of a run of white space instead.

The words of a chunk do not depend on what is around it: no pattern looks back, and only white space looks ahead, by one
character. A chunk ends with something else, with a line end that ends its word in any case, or where the text ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

_BLANK, _LINE_END, _WIDE = 1, 2, 4
_TWO_BYTES = (0xC285, 0xC2A0)
_THREE_BYTES = tuple(
    int.from_bytes(chr(point).encode())
    for point in (0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000)
)


def _kinds() -> Bytes:
    kinds = np.zeros(256, np.uint8)
    kinds[[*b"\t\v\f "]] = _BLANK
    kinds[[*b"\n\r"]] = _BLANK | _LINE_END
    kinds[[0xC2, 0xE1, 0xE2, 0xE3]] = _WIDE
    return kinds


_KINDS = _kinds()


def chunk_starts(content: Bytes, text_ends: NDArray[Any], line_ends_join: bool) -> NDArray[Any]:
    """Where the chunks of texts begin that follow each other without a gap.

    Args:
        content: (N,) the bytes of all texts.
        text_ends: (T,) where each text ends; the last is N.
        line_ends_join: whether line ends belong to a word of marks before them.

    Returns:
        Offsets (W,), ascending; each text that is not empty begins with one.
    """
    kinds = _KINDS.take(content)
    blank = (kinds & _BLANK).astype(bool)
    _mark_wide(content, np.flatnonzero(kinds == _WIDE), blank)
    is_line_end = (kinds & _LINE_END).astype(bool) if line_ends_join else None
    starts = np.zeros(len(content) + 1, bool)
    starts[1:-1] = blank[1:] & ~blank[:-1]
    if is_line_end is not None:
        starts[:-1] &= ~is_line_end
        starts[_last_line_ends(is_line_end, blank) + 1] = True
    starts[text_ends[:-1]] = True
    starts[0], starts[-1] = True, False
    return np.flatnonzero(starts[: len(content)])


def _mark_wide(content: Bytes, leads: NDArray[Any], blank: Flags) -> None:
    """Mark every byte of the white space that has two or three; `leads` are the bytes that it may begin with."""
    if len(leads) == 0:
        return
    last = len(content) - 1
    first = content[leads].astype(np.int32)
    second = content[np.minimum(leads + 1, last)]
    third = content[np.minimum(leads + 2, last)]
    two = first << 8 | second
    for size, found in (
        (2, leads[np.isin(two, _TWO_BYTES)]),
        (3, leads[np.isin(two << 8 | third, _THREE_BYTES)]),
    ):
        for index in range(size):
            blank[found + index] = True


def _last_line_ends(is_line_end: Flags, blank: Flags) -> NDArray[Any]:
    """The line ends after which, within their run of white space, no other comes."""
    places = np.flatnonzero(is_line_end)
    others_before = np.cumsum(~blank)[places]
    last: NDArray[Any] = places[np.diff(others_before, append=-1) != 0]
    return last
