"""What flows from the readers to the shards: documents, whole or in pieces.

A document may be longer than memory (a text file of gigabytes is one by default). So a long one travels as several
pieces, cut by its content alone: equal documents are cut equally, on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

PIECE_CHARACTERS = 1 << 22
"""Characters after which a long document is cut, at the next line's end, or at any character `SLACK` later."""
SLACK = 1 << 16
_CUT = re.compile(r"(?<=\S)\s")

Markup = Literal["plain", "wikitext"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A document, or a part of a long one."""

    text: str
    ends_document: bool = True
    """Whether the document ends here."""
    markup: Markup = "plain"
    """How the text is written; `wikitext` is turned into plain text by the workers."""


def cut(blocks: Iterable[str], markup: Markup = "plain") -> Iterator[Piece]:
    """One document, given in blocks of any size, as pieces.

    The cuts lie before white space that follows something else, so that no word is cut unless it is longer than
    `SLACK` characters; they do not depend on the blocks.
    """
    buffer = ""
    for block in blocks:
        buffer += block
        while len(buffer) > PIECE_CHARACTERS + SLACK:
            found = _CUT.search(buffer, PIECE_CHARACTERS, PIECE_CHARACTERS + SLACK)
            end = found.start() if found else PIECE_CHARACTERS + SLACK
            yield Piece(buffer[:end], False, markup)
            buffer = buffer[end:]
    yield Piece(buffer, True, markup)
