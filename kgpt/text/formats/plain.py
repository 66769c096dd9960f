"""Plain text: `.txt` and `.md`, split into documents.

In: a file. Out: the documents in it, by `ReadOptions.documents`. Whatever their length and number, no more is held
than a block of the file and a piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kgpt.text.documents import SLACK, Piece, cut, piece_end
from kgpt.text.formats.encoding import text_blocks
from kgpt.text.formats.reading import Reading

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_BLANK_START = re.compile(r"(?:[^\S\n]*\n)+")


def read(reading: Reading) -> Iterator[Piece]:
    """The documents of a text file.

    Raises:
        KgptError: the file is not UTF-8, has a NUL byte, or is cut or damaged, and errors stop.
        KgptFailure: it cannot be read.
    """
    content = text_blocks(reading)
    if reading.options.documents == "file":
        return cut(content)
    if reading.options.documents == "line":
        return _split(content, lambda text: text.split("\n"), is_line=True)
    return _split(content, _BLANK_LINES.split, is_line=False)


def _split(
    content: Iterator[str], split: Callable[[str], list[str]], *, is_line: bool
) -> Iterator[Piece]:
    """Documents between separators.

    Args:
        content: blocks of text.
        split: splits text at its separators, which are white space and begin with a line's end.
        is_line: whether a line is a document; if not, line ends are no part of one at its end, nor blank lines at its
            start.
    """
    rest, is_inside = "", False
    for block in content:
        rest += block
        if not (is_inside or is_line) and (start := _BLANK_START.match(rest)):
            rest = rest[start.end() :]
        # Blank lines may go on in the next block: what follows the last visible character waits for it.
        visible = len(rest) if is_line else len(rest.rstrip())
        *documents, last = split(rest[:visible])
        for text in documents:
            yield Piece(text)
            is_inside = False
        blank = rest[visible:]
        while end := piece_end(last):
            yield Piece(last[:end], ends_document=False)
            last, is_inside = last[end:], True
        rest = last + (blank if len(blank) < SLACK else _BLANK_LINES.sub("\n\n", blank, 1))
    for text in split(rest):
        yield Piece(text if is_line else text.rstrip("\n"))
