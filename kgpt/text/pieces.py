"""Long texts in pieces that have the tokens of the whole; and texts that have no tokens at all.

In: a text. Out: pieces of it, or a clear error where it is not Unicode.
"""

from __future__ import annotations

from collections.abc import Iterator

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.documents import CUT

PIECE_LENGTH = 1 << 15
"""Characters after which `pieces` looks for a place to cut."""


def pieces(text: str, length: int = PIECE_LENGTH) -> Iterator[str]:
    """`text` in pieces whose tokens are, joined, the tokens of the whole.

    The cuts are `CUT`s: no word of any pre-tokenization reaches across, and none looks past them. So they bound the
    memory of a long text, and spread it over the cores.
    """
    start = 0
    while start < len(text):
        cut = CUT.search(text, start + length)
        end = cut.start() if cut else len(text)
        yield text[start:end]
        start = end


def reject_surrogates(text: str) -> None:
    """Raise a `KgptError` if `text` holds half of a surrogate pair; Python texts can, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise KgptError(
            _("Text is not valid Unicode"),
            _(
                "Character {start} is half of a surrogate pair (U+{text:04X}).",
                start=error.start,
                text=ord(text[error.start]),
            ),
            _("Read the text as UTF-8, or replace it: text.encode('utf-8', 'replace').decode()."),
        ) from None
