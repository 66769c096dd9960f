"""What a token looks like: visible characters, and escapes for what is none.

In: a tokenizer and a text. Out: its tokens with their places, and each as a text that a terminal can show. What a
terminal would act upon, or not show (controls, joiners, foreign spaces), appears as an escape and never raw.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kgpt.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from rich.text import Text

MARKS = {" ": "·", "\t": "→", "\n": "⏎", "\r": "\\r"}
ESCAPED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp")
"""General categories of characters that are shown as escapes."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text."""

    number: int
    """Which one of the text, from 0."""
    id: int
    data: bytes
    start: int
    """Bytes of the text before it."""

    @property
    def end(self) -> int:
        """Bytes of the text up to its end."""
        return self.start + len(self.data)


def tokens_of(tokenizer: Tokenizer, text: str, special: bool = False) -> list[Token]:
    """The tokens of `text`; with `special`, special tokens written out in it are tokens.

    Raises:
        KgptError: as `Tokenizer.encode`.
    """
    tokens, start = [], 0
    for number, token in enumerate(tokenizer.encode(text, special=special)):
        tokens.append(Token(number, token, tokenizer.token_bytes(token), start))
        start = tokens[-1].end
    return tokens


def stretches(
    left: Sequence[Token], right: Sequence[Token]
) -> Iterator[tuple[list[Token], list[Token]]]:
    """The shortest runs of tokens of the same bytes: each ends where both tokenizers have a border again."""
    lefts, rights = iter(left), iter(right)
    for token in lefts:
        ours, theirs = [token], [next(rights)]
        while ours[-1].end != theirs[-1].end:
            if ours[-1].end < theirs[-1].end:
                ours.append(next(lefts))
            else:
                theirs.append(next(rights))
        yield ours, theirs


# === What a token looks like ===


def visible(text: str) -> Iterator[tuple[str, bool]]:
    """`text` in parts that a terminal can show, and whether each stands for something else.

    An accent that nothing in `text` carries is put on a dotted circle.
    """
    from rich.cells import cell_len

    carrier = False
    for character in text:
        code = ord(character)
        is_selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
        if character in MARKS:
            carrier = False
            yield MARKS[character], True
        elif is_selector or unicodedata.category(character) in ESCAPED:
            carrier = False
            yield _escape(code), True
        else:
            alone = cell_len(character) == 0 and not carrier
            carrier = True
            yield "◌" * alone + character, False


def _escape(code: int) -> str:
    if code < 0x80:  # never a part of another character, so it cannot be taken for a byte
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def whole_characters(data: bytes) -> tuple[bytes, str, bytes]:
    """The bytes of a token: the end of a character begun before it, whole characters, the beginning of one.

    `data` must be from a valid text; then what is cut is cut at its ends alone.
    """
    first = next((place for place, byte in enumerate(data) if byte & 0xC0 != 0x80), len(data))
    for back in range(1, min(4, len(data) - first) + 1):
        if (lead := data[-back]) & 0xC0 != 0x80:
            size = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            end = len(data) - (back if size > back else 0)
            return data[:first], data[first:end].decode(), data[end:]
    return data[:first], "", b""


def text_of(token: Token, style: str, mark: str, break_lines: bool = False) -> Text:
    """The token in colour: characters in `style`, and in `mark` what stands for something else."""
    from rich.text import Text

    head, middle, tail = whole_characters(token.data)
    shown = Text()
    for byte in head:
        shown.append(f"\\x{byte:02x}", mark)
    for part, is_mark in visible(middle):
        shown.append(part, mark if is_mark else style)
        if break_lines and part == MARKS["\n"]:
            shown.append("\n")  # without a background, or it would fill the line
    for byte in tail:
        shown.append(f"\\x{byte:02x}", mark)
    return shown


def split_characters(token: Token, whole: bytes) -> list[str]:
    """Which bytes a token has of the characters that it shares with its neighbours: `1/2 of é`, `1-2/3 of 本`."""
    head, _, tail = whole_characters(token.data)
    notes = []
    for place, part in ((token.start, head), (token.end - len(tail), tail)):
        if part:
            begin = place
            while whole[begin] & 0xC0 == 0x80:
                begin -= 1
            lead = whole[begin]
            size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
            character = "".join(part for part, _ in visible(whole[begin : begin + size].decode()))
            first, last = place - begin + 1, place - begin + len(part)
            which = f"{first}" if first == last else f"{first}-{last}"
            notes.append(f"{which}/{size} of {character}")
    return notes
