"""Which tokens make which word: bytes of tokens in, spans of tokens out. Standard library only.

A word is a run of letters and digits with the space before it; every other sign stands for itself, and a line's end is
no part of the word after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Span = tuple[int, int]
"""First token, and the one after the last."""


def words_of(contents: Sequence[bytes]) -> list[Span]:
    """The words of a text, from the bytes of its tokens; every token belongs to exactly one.

    A token is never divided: one that holds several words, or a word and a sign, counts as the word it begins with.
    A character of several tokens keeps them together.
    """
    starts = [place for place in range(len(contents)) if _begins(contents, place)]
    return list(itertools.pairwise([*starts, len(contents)]))


def _begins(contents: Sequence[bytes], place: int) -> bool:
    if place == 0:
        return True
    before, content = contents[place - 1], contents[place]
    if not before or not content:  # an end of text, which has no bytes
        return True
    if 0x80 <= content[0] < 0xC0:  # in the middle of a character
        return False
    first, last = _first(content), _last(contents, place)
    if last.isspace():
        return last == "\n" or first.isspace() or bool(before.strip())
    return first.isspace() or not (first.isalnum() and last.isalnum())


def _first(content: bytes) -> str:
    """The first character; of one that has only begun, a letter: no sign of its own has a token's border inside."""
    text = content[:4].decode("utf-8", errors="ignore")
    return text[0] if text else "a"


def _last(contents: Sequence[bytes], place: int) -> str:
    """The last character before a token."""
    tail = b"".join(contents[max(0, place - 4) : place])
    text = tail.decode("utf-8", errors="ignore")
    return text[-1] if text else "a"


def text_of(contents: Sequence[bytes], span: Span) -> str:
    """A word without the space around it."""
    return b"".join(contents[slice(*span)]).decode("utf-8", errors="replace").strip()
