"""Cleaning of characters: composition, invisible ones, wrong encodings, case."""

from __future__ import annotations

import re
import unicodedata

from kgpt.text.cleaning.values import Change, package

_SUSPECTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    # The flags of England, Scotland and Wales are a black flag and tags.
    "(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
    # Joiners shape letters of Arabic and Indic scripts and make one emoji of several.
    "|(?<=[\u0600-\u1fff\u2190-\u2bff\ua800-\uabff\ufb50-\ufeff\U00010000-\U000dffff])[\u200c\u200d]"
    # Thai, Lao, Burmese and Khmer mark words with zero-width spaces.
    "|(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b)"
    "|" + _SUSPECTS.pattern
)

# ftfy takes long for every line that is not ASCII. What it mends has two neighbours that are not ASCII and not both
# small letters of Latin-1, or one of a few characters by themselves.
_UNCOMMON = re.compile("[^\x00-\x7fà-öø-ÿ]")
_MAYBE_MOJIBAKE = re.compile(
    "[^\x00-\x7fà-öø-ÿ][^\x00-\x7f]|[à-öø-ÿ][^\x00-\x7fà-öø-ÿ]|[\x80-\x9fŒœÂÃ]"
)


def nfc(_: str) -> Change:
    """Canonical composition: one way to write each character."""
    return _nfc


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def control(_: str) -> Change:
    """Line ends become line feeds; control, zero-width and direction characters go, tabs and working joiners stay."""
    return _control


def _control(text: str) -> str:
    if text.isprintable() or not _SUSPECTS.search(
        text
    ):  # the first is faster, and of no use where lines end
        return text
    return _INVISIBLE.sub(r"\1", _LINE_ENDS.sub("\n", text))


def encoding(_: str) -> Change:
    """UTF-8 that was read as Latin-1 or the like, mended by ftfy, line by line; nothing else is touched."""
    fix_encoding = package("ftfy", "encoding").fix_encoding

    def mended(line: str) -> str:
        is_suspect = _UNCOMMON.search(line) and _MAYBE_MOJIBAKE.search(line)
        return fix_encoding(line) if is_suspect else line

    def change(text: str) -> str:
        if not _UNCOMMON.search(text) or not _MAYBE_MOJIBAKE.search(text):
            return text
        return "\n".join(map(mended, text.split("\n")))

    return change


def lower(_: str) -> Change:
    """Lower case."""
    return str.lower
