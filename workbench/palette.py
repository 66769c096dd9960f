"""Colours and marks of runs that are drawn together.

In: names of runs, in the order in which they were chosen. Out: for each a colour and a mark of its own, the same in
every session. The colours are told apart with red-green and blue-yellow colour blindness too: on dark backgrounds they
follow Okabe and Ito (2008), on light ones they are those that a search found furthest apart. Knows no Textual.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

ON_DARK = ("#56b4e9", "#e69f00", "#cc79a7", "#f0e442", "#009e73", "#d55e00", "#8f8fff", "#dcdcdc")
ON_LIGHT = ("#436689", "#da470e", "#694351", "#767743", "#009e9d", "#782609", "#ce14ef", "#03358c")
MARKS = ("●", "■", "▲", "◆", "▼", "✚", "★", "○")


class Look(NamedTuple):
    """How a run is drawn."""

    color: str
    mark: str


def looks(names: Iterable[str], is_dark: bool = True) -> dict[str, Look]:
    """A look for each name: its hash chooses, and where two choose the same, the later takes the next free one.

    More runs than there are looks share them.
    """
    colors = ON_DARK if is_dark else ON_LIGHT
    found: dict[str, Look] = {}
    free = set(range(len(MARKS)))
    for name in dict.fromkeys(names):
        free = free or set(range(len(MARKS)))
        first = zlib.crc32(name.encode(errors="surrogateescape"))
        place = next(
            p % len(MARKS) for p in range(first, first + len(MARKS)) if p % len(MARKS) in free
        )
        free.remove(place)
        found[name] = Look(colors[place], MARKS[place])
    return found
