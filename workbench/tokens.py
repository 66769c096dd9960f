"""Tokens as the engine reports them: in, a `token` reply or what a file kept of one; out, `Token` records.

What a reply lacks or has of another type is passed over: an engine of another version shows less, and breaks nothing.
Knows no Textual.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.tail import is_number


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that the model could have taken."""

    token: int
    content: bytes
    probability: float

    def as_row(self) -> list[Any]:
        """For a file: id, bytes in hex, probability."""
        return [self.token, self.content.hex(), round(self.probability, 6)]


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was taken, with what else the model held probable there."""

    token: int
    content: bytes
    """What it adds to the text: nothing, if it ends it."""
    probability: float | None = None
    """How probable the model itself held it, before the options."""
    alternatives: tuple[Alternative, ...] = ()

    @property
    def surprise(self) -> float | None:
        """In bits: 0 for what was certain, 1 for a coin's toss."""
        if self.probability is None:
            return None
        return -math.log2(max(self.probability, 1e-12))

    def as_row(self) -> list[Any]:
        """For a file: id, bytes in hex, probability, alternatives."""
        probability = None if self.probability is None else round(self.probability, 6)
        others = [other.as_row() for other in self.alternatives]
        return [self.token, self.content.hex(), probability, others]


def token_of_reply(reply: Mapping[str, Any]) -> Token:
    """The token of a `token` reply."""
    others = reply.get("alternatives")
    rows = [
        [other.get("token"), other.get("bytes_hex"), other.get("probability")]
        for other in (others if isinstance(others, list) else [])
        if isinstance(other, dict)
    ]
    return token_of_row(
        [reply.get("token"), reply.get("bytes_hex"), reply.get("probability"), rows]
    )


def token_of_row(row: Any) -> Token:
    """The token of a row of a file; what cannot be read is empty."""
    values = (list(row) if isinstance(row, list) else []) + [None] * 4
    found = [
        Alternative(_whole(other[0]), _bytes(other[1]), float(other[2]))
        for other in (values[3] if isinstance(values[3], list) else [])
        if isinstance(other, list) and len(other) == 3 and is_number(other[2])
    ]
    probability = float(values[2]) if is_number(values[2]) else None
    return Token(_whole(values[0]), _bytes(values[1]), probability, tuple(found))


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(value)
    except (TypeError, ValueError):
        return b""


def whole_text(contents: Iterable[bytes]) -> tuple[str, bytes]:
    """The text of tokens up to their last whole character, and the bytes of one that has only begun."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(b"".join(contents))
    return text, decoder.getstate()[0]


def visible(content: bytes) -> str:
    """A token's bytes for people: `·de`, `↵`, and `‹c3›` for a part of a character."""
    if not content:
        return "‹end›"
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return "‹" + content.hex(" ") + "›"
    return text.replace("\n", "↵").replace("\t", "⇥").replace(" ", "·")


def chip_texts(contents: Sequence[bytes]) -> list[str]:
    """What each token shows in its place in a text.

    A line's end is marked and ends the line; a character of several tokens stands with the last of them.
    """
    shown, decoder = [], codecs.getincrementaldecoder("utf-8")("replace")
    for content in contents:
        text = decoder.decode(content)
        if not text:
            text = "‹end›" if not content else "‹" + content.hex() + "›"
        shown.append(text.replace("\r", "").replace("\n", "↵\n").replace("\t", "⇥"))
    return shown
