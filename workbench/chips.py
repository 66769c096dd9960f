"""Where tokens stand when each is a chip of its own: in, texts and a width; out, lines of placed chips.

A chip is never broken unless it is wider than a line; a line's end inside it ends the line. Knows no Textual.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, chop_cells

PROMPT = -1
"""Number of what belongs to no token."""
_WORDS = re.compile(r"\n|[^\S\n]*[^\s]+|[^\S\n]+")


@dataclass(frozen=True, slots=True)
class Chip:
    """A token, or a part of one, in its place."""

    token: int
    text: str
    column: int
    """In cells, from the left."""


Lines = list[list[Chip]]


def lay_out(prompt: str, texts: Sequence[str], width: int) -> Lines:
    """The prompt word by word and then the tokens, in lines of at most `width` cells."""
    lines: Lines = [[]]
    column = 0
    for token, text in _parts(prompt, texts):
        for part in text.splitlines(keepends=True):
            for piece in _fitting(part.rstrip("\n"), width):
                size = cell_len(piece)
                if column and column + size > width:
                    lines.append([])
                    column = 0
                lines[-1].append(Chip(token, piece, column))
                column += size
            if part.endswith("\n"):
                lines.append([])
                column = 0
    return lines


def _parts(prompt: str, texts: Sequence[str]) -> Iterator[tuple[int, str]]:
    for word in _WORDS.findall(prompt):
        yield PROMPT, word
    yield from enumerate(texts)


def _fitting(text: str, width: int) -> Iterable[str]:
    return chop_cells(text, max(2, width)) if cell_len(text) > width else (text,) if text else ()


def line_of(lines: Lines, token: int) -> int:
    """The line on which a token begins."""
    return next((at for at, line in enumerate(lines) for chip in line if chip.token == token), 0)


def vertical_neighbour(lines: Lines, token: int, direction: int) -> int:
    """The token above or below one, nearest in its column; itself at the edge."""
    at = line_of(lines, token)
    column = next((chip.column for chip in lines[at] if chip.token == token), 0)
    at += direction
    while 0 <= at < len(lines):
        chips = [chip for chip in lines[at] if chip.token != PROMPT and chip.token != token]
        if chips:
            return min(chips, key=lambda chip: abs(chip.column - column)).token
        at += direction
    return token
