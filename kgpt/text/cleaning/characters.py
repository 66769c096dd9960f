"""Cleaning of characters: composition, invisible ones, wrong encodings, case, digits."""

from __future__ import annotations

import re
import unicodedata

from kgpt.language import _
from kgpt.packages import optional_package
from kgpt.text.cleaning.values import Change

_VISIBLE = (
    "\t\n -~\xa0-\xac\xae-\u061b\u061d-\u200a\u2010-\u2027\u202f-\u205f\u2070-\ufefe\uff00-\ufff8"
    "\ufffc-\U000dffff\U000e0080-\U0010ffff"
)
_ALL_VISIBLE = re.compile(
    f"[{_VISIBLE}]*"
)  # a full match is several times faster than a search for the others
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_REMOVED = re.compile(
    # The flags of England, Scotland and Wales are a black flag and tags.
    "(\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
    # Joiners shape letters of Arabic and Indic scripts and make one emoji of several.
    "|(?<=[\u0600-\u1fff\u2190-\u2bff\ua800-\uabff\ufb50-\ufeff\U00010000-\U000dffff])[\u200c\u200d]"
    # Thai, Lao, Burmese and Khmer mark words with zero-width spaces.
    "|(?<=[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff])\u200b)"
    f"|[^{_VISIBLE}]"
)

# ftfy takes long for every line that is not ASCII. What it mends has two neighbours that are not ASCII and not both
# small letters of Latin-1, or one of a few characters by themselves.
_COMMON = "\x00-\x7fà-öø-ÿ"
_ALL_COMMON = re.compile(f"[{_COMMON}]*")
_MAYBE_MOJIBAKE = re.compile(
    f"[^{_COMMON}](?:(?=[^\x00-\x7f])|(?<=[^\x00-\x7f][^\x00-\x7f])|(?<=[\x80-\x9fŒœÂÃ]))"
)

_ZEROS = str.maketrans("123456789", "0" * 9)


def nfc(_value: str) -> Change:
    """Canonical composition: one way to write each character."""
    return _nfc


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def control(_value: str) -> Change:
    """Line ends become line feeds; control, zero-width and direction characters go, tabs and working joiners stay."""
    return _control


def _control(text: str) -> str:
    if _ALL_VISIBLE.fullmatch(text):
        return text
    return _REMOVED.sub(r"\1", _LINE_ENDS.sub("\n", text))


def encoding(_value: str) -> Change:
    """UTF-8 that was read as Latin-1 or the like, mended by ftfy, line by line; nothing else is touched."""
    fix_encoding = optional_package("ftfy", "clean", _("The cleaning step encoding")).fix_encoding

    def is_suspect(text: str) -> bool:
        return not _ALL_COMMON.fullmatch(text) and _MAYBE_MOJIBAKE.search(text) is not None

    def change(text: str) -> str:
        if not is_suspect(text):
            return text
        lines = text.split("\n")
        return "\n".join(fix_encoding(line) if is_suspect(line) else line for line in lines)

    return change


def lower(_value: str) -> Change:
    """Lower case."""
    return str.lower


def digits(_value: str) -> Change:
    """The digits 1 to 9 become 0: numbers keep their shape, and lose what tells one from another."""
    return _digits


def _digits(text: str) -> str:
    return text.translate(_ZEROS)
