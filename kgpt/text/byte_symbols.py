"""The printable characters that stand for bytes in the files of a tokenizer.

In: bytes or tokens. Out: tokens or bytes. The mapping is GPT-2's (Radford et al., 2019, `encoder.py`): printable
Latin-1 characters stand for themselves, and U+0100 to U+0143 for the other bytes, in order.
"""

from __future__ import annotations

from collections.abc import Iterable


def _byte_symbols() -> list[str]:
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


BYTE_SYMBOLS = _byte_symbols()
BYTE_OF = {symbol: byte for byte, symbol in enumerate(BYTE_SYMBOLS)}
_SPELLING = str.maketrans({**dict(enumerate(BYTE_SYMBOLS)), 0xFF: " "})
"""Bytes, as Latin-1, to their symbols; the byte 0xFF, which is not in UTF-8, stands between words."""


def spelled(token: bytes) -> str:
    """Bytes, of whatever kind, in symbols."""
    return "".join(map(BYTE_SYMBOLS.__getitem__, token))


def bytes_of(token: str) -> bytes:
    """What symbols stand for.

    Raises:
        KeyError: a character is not one of the symbols.
    """
    return bytes(map(BYTE_OF.__getitem__, token))


def spelled_words(words: Iterable[str]) -> list[str]:
    """Each of some words in symbols: as `spelled` of its UTF-8, but all at once, which is faster."""
    joined = b"\xff".join([word.encode() for word in words])
    return joined.decode("latin-1").translate(_SPELLING).split(" ") if joined else []
