"""Plain text: `.txt` and `.md`, split into documents.

In: a file. Out: the documents in it, by `ReadOptions.documents`. Whatever their length and number, no more is held
than a block of the file and a piece.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kgpt.text.documents import Piece, cut, piece_end
from kgpt.text.formats.encoding import text_blocks
from kgpt.text.formats.reading import Reading

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")


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
        return _split(content, lambda text: text.split("\n"), "")
    return _split(content, _BLANK_LINES.split, "\n")


def _split(
    content: Iterator[str], split: Callable[[str], list[str]], strip: str
) -> Iterator[Piece]:
    """Documents between separators.

    Args:
        content: blocks of text.
        split: splits text at its separators, which are white space and begin with a line's end.
        strip: characters that are not part of a document at its ends.
    """
    rest, is_inside = "", False
    for block in content:
        rest += block
        # A separator may go on in the next block: what follows the last visible character waits for it.
        visible = len(rest.rstrip())
        *documents, last = split(rest[:visible])
        for text in documents:
            yield Piece(text if is_inside else text.lstrip(strip))
            is_inside = False
        rest = last + rest[visible:]
        if not is_inside:
            rest = rest.lstrip(strip)
        while end := piece_end(rest):
            yield Piece(rest[:end], ends_document=False)
            rest, is_inside = rest[end:], True
    for text in split(rest):
        yield Piece((text if is_inside else text.lstrip(strip)).rstrip(strip))
        is_inside = False
