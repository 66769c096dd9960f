"""What flows from the readers to the shards: documents, whole or in pieces.

A document may be longer than memory (a text file of gigabytes is one by default). So a long one travels as several
pieces, cut by its content alone: equal documents are cut equally, on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

PIECE_CHARACTERS = 1 << 22
"""Characters after which a long document is cut, at the next place where no token is."""
SLACK = 1 << 16
CUT = re.compile(r"(?<=[^\W_])(?=\s)|(?<=\S\n)(?=\S)")
"""Where text may be cut without changing a token: after a letter or digit and before white space, or between lines.
No word of any pre-tokenization here reaches across such a place, and none looks past it."""

Markup = Literal["plain", "wikitext"]


class Piece(NamedTuple):
    """A document, or a part of a long one; a tuple, because millions are made."""

    text: str
    ends_document: bool = True
    """Whether the document ends here."""
    markup: Markup = "plain"
    """How the text is written; `wikitext` is turned into plain text by the workers."""


def cut(blocks: Iterable[str], markup: Markup = "plain") -> Iterator[Piece]:
    """One document, given in blocks of any size, as pieces.

    The cuts are `CUT`s, unless there is none in `SLACK` characters, and do not depend on the blocks.
    """
    buffer = ""
    for block in blocks:
        buffer += block
        while end := piece_end(buffer):
            yield Piece(buffer[:end], False, markup)
            buffer = buffer[end:]
    yield Piece(buffer, True, markup)


def piece_end(text: str) -> int:
    """Where the first piece of a document ends that begins with `text`; 0 as long as `text` may be all of it."""
    if len(text) <= PIECE_CHARACTERS + SLACK:
        return 0
    found = CUT.search(text, PIECE_CHARACTERS, PIECE_CHARACTERS + SLACK)
    return found.start() if found else PIECE_CHARACTERS + SLACK
