"""Plain characters: what is drawn, with nothing beyond letters, digits and the signs of ASCII.

In: rendered lines. Out: the same with each drawing character replaced by one of ASCII that is as wide: for terminals
and fonts without braille, blocks and arrows. Letters with accents stay.
"""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SIGNS = {
    "─━╌╍╸╺▔▁—–": "-",
    "│┃╎╏▏▕┆": "|",
    "╭╮╰╯┌┐└┘├┤┬┴┼╔╗╚╝╞╡╪": "+",
    "●◉■▲◆▼✚★◕◐◑◔•": "*",
    "○◌□△◇▽▵": "o",
    "✓": "v",
    "✗✘": "x",
    "·": ".",
    "…": "~",
    "←◂◀⇤": "<",
    "→▸▶⇥": ">",
    "↑▴": "^",
    "↓▾": "v",
    "↵⏎": "_",
    "↻⟳": "@",
    "✎": "!",
    "⇄↔": "=",
    "⚠": "!",
    "░▒": ":",
    "▓█": "#",
    "×": "x",
}
TABLE = {ord(sign): plain for signs, plain in SIGNS.items() for sign in signs}
BLOCKS, BRAILLE = range(0x2581, 0x25A0), range(0x2800, 0x2900)
HEIGHTS = "_.:-=+*#"
"""For bars of an eighth up to the whole height."""


class PlainCharacters(LineFilter):
    """Textual's filter of lines, the last before the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments in plain characters."""
        return [Segment(plain(text), style, control) for text, style, control in segments]


@lru_cache(4096)
def plain(text: str) -> str:
    """The text in plain characters, as wide as before."""
    return text if text.isascii() else "".join(map(_plain, text))


def _plain(sign: str) -> str:
    code = ord(sign)
    if code in TABLE:
        return TABLE[code]
    if code in BRAILLE:
        dots = (code - BRAILLE.start).bit_count()
        return " " if not dots else "." if dots < 3 else ":" if dots < 5 else "#"
    if code in BLOCKS:
        return HEIGHTS[code - 0x2581] if code < 0x2589 else "#"
    if code < 0x250 or sign.isalnum():
        return sign
    return "?" * cell_len(sign)
