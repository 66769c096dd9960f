"""What every reader is given: where the text lies, how to read it, and what becomes of damage.

In: a `Source` and `ReadOptions`. Out: a `Reading`, whose `damage` stops with a clear error or counts what is left
out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.documents import PIECE_CHARACTERS, Piece, cut
from kgpt.text.formats.kinds import Compression, Kind

SHOWN = 60
"""Characters of a row that a message quotes."""

DocumentsOption = Literal["file", "blank-line", "line"]
NUL_HINT = N_(
    "Remove such characters with --clean control, or leave out the line or row with --on-error skip."
)
MEND_HINT = N_(
    "Read such bytes as Windows-1252 with --clean encoding, or leave them out with --on-error skip."
)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class ReadOptions:
    """How sources are read."""

    documents: DocumentsOption = "file"
    """What a document is in a text file: the whole `file`, the text between two `blank-line`s, or a `line`. In other
    files a row or an article is one."""
    text_field: str | None = None
    """The field or column of a row that holds its text; by default what `rows.text_of` finds."""
    on_error: Literal["stop", "skip"] = "stop"
    """Whether damage ends in an error, or is left out and counted."""
    seed: int = 1
    """Of the encyclopedia's phrasings."""
    mend_encoding: bool = False
    """Read bytes that are not UTF-8 as Windows-1252."""
    allow_nul: bool = False
    """Whether text may hold NUL characters."""


@dataclass(frozen=True)
class Source:
    """A file, the built-in corpus, or a data set: something to read."""

    name: str
    """As the user named it, for messages and the manifest."""
    kind: Kind
    compression: Compression = ""
    path: Path | None = None
    """Where the file lies; None for what is no file."""
    sha256: str = ""
    """Of what came in on standard input; empty for all else."""


@dataclass
class Position:
    """How far into a file a reader is, as near as buffers tell."""

    bytes: int = 0
    """Of the file, packed where it is."""


@dataclass
class Reading:
    """One reading of a source."""

    source: Source
    options: ReadOptions
    skipped: Callable[[str, str], None]
    """Told the reason and the message for each thing that is left out."""
    position: Position = field(default_factory=Position)
    escaped: bool = False
    """Whether bytes that are not UTF-8 have been met, in a file of rows."""
    unit: str = ""
    """What the numbers of `place` count, where these are not lines."""

    def place(self, number: int) -> str:
        """Where a row is, for messages: `file:line`, or `file: row number`."""
        return f"{self.source.name}:{f' {self.unit} ' if self.unit else ''}{number}"

    def damage(self, reason: str, message: str, hint: str = "") -> None:
        """Something cannot be used: an error, or with `on_error="skip"` a count, and the reader goes on without it.

        Args:
            reason: names the kind of damage, in English; translated, a title, and as it is what is counted.
            message: says where it is, what was expected and what was received.
            hint: what to do.

        Raises:
            KgptError: with `on_error="stop"`.
        """
        if self.options.on_error == "stop":
            raise KgptError(_(reason), message, _(hint))
        self.skipped(reason, message)

    def row(self, text: str, number: int) -> Iterable[Piece]:
        """The pieces of a row's text; none where it cannot be used or is blank, which is counted and no damage.

        Args:
            text: of one document.
            number: of the row or its line.
        """
        if not text or text.isspace():
            self.skipped(N_("Empty"), _("{place}: the row has no text.", place=self.place(number)))
            return ()
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
        if not self.options.allow_nul and "\0" in text:
            self.damage(
                N_("NUL character"),
                _("{place}: the text has a NUL character.", place=self.place(number)),
                NUL_HINT,
            )
            return ()
        if len(text) <= PIECE_CHARACTERS:
            return (Piece(text),)
        step = PIECE_CHARACTERS
        return cut(text[start : start + step] for start in range(0, len(text), step))

    def no_text(self, place: str, reason: object) -> None:
        """Treat as damage a row or file without text, for the reason that a `NoTextError` gives."""
        self.damage(
            N_("No text"),
            f"{place}: {reason}.",
            _("Name the field with --text-field."),
        )


def without_surrogates(text: str) -> str:
    """`text` with halves of surrogate pairs, which no encoding can hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\ufffd", text)
    return text


def quoted(text: str) -> str:
    """The beginning of a text, in quotes, for a message."""
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else line[: SHOWN - 1] + "…")
