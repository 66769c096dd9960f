"""JSON: an array of rows, an object that holds one, or several values one after the other.

In: a file. Out: a document for each row. The file is read as a stream: no more is held than a row and a block. Rows
are the elements of an array at the top, the objects in an array under a key of `CONTAINERS` of an object at the top
(`data` in SQuAD), and any other value at the top. So JSON lines in a `.json` file are read as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.encoding import escaped_blocks, is_escaped, not_utf8
from kgpt.text.formats.json_stream import JsonStream, NotJsonError
from kgpt.text.formats.reading import Reading, without_surrogates
from kgpt.text.formats.rows import NoTextError, RowText

CONTAINERS = frozenset(
    {"data", "rows", "examples", "items", "documents", "records", "articles", "train", "test"}
)
"""Keys of an object at the top whose array may hold the rows."""


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each row.

    Where damage is skipped, a row without text is left out; and from what does not parse, the rest of the file.

    Raises:
        KgptError: the file does not parse, or a row has no text or a NUL in it, and errors stop.
        KgptFailure: the file cannot be read.
    """
    text_of = RowText(reading.options.text_field)
    for line, row in values(reading):
        try:
            text = text_of(row)
        except NoTextError as error:
            reading.no_text(reading.place(line), error)
            continue
        if reading.escaped and is_escaped(text):
            not_utf8(reading, text, line)
        else:
            yield from reading.row(without_surrogates(text), line)


def values(reading: Reading) -> Iterator[tuple[int, Any]]:
    """The rows, each with the number of the line on which it ends.

    Raises:
        KgptError: the file does not parse, and errors stop.
        KgptFailure: it cannot be read.
    """
    stream = JsonStream(escaped_blocks(reading))
    rows = rows_of(stream)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except NotJsonError as error:
            reading.damage(
                N_("Not JSON"),
                f"{reading.source.name}:{error}.",
                _("Mend the file, or read it as far as it goes with --on-error skip."),
            )
            return
        yield stream.line, row


def rows_of(stream: JsonStream) -> Iterator[Any]:
    """The rows of a JSON text, whatever they are; raises `NotJsonError`."""
    while char := stream.peek():
        if char == "[":
            stream.take()
            yield from _elements(stream)
        elif char == "{":
            stream.take()
            yield from _object(stream)
        else:
            yield stream.value()


def _elements(stream: JsonStream) -> Iterator[Any]:
    """The elements of an array whose bracket has been taken."""
    if stream.peek() == "]":
        stream.take()
        return
    while True:
        yield stream.value()
        if stream.expect(",]") == "]":
            return


def _object(stream: JsonStream) -> Iterator[Any]:
    """The rows in an object whose brace has been taken, or the object as a row."""
    members: dict[str, Any] = {}
    holds_rows = False
    closing = stream.peek() == "}"
    if closing:
        stream.take()
    while not closing:
        if stream.peek() != '"':
            raise stream.error(_("expecting a field's name in double quotes"))
        key = stream.value()
        stream.expect(":")
        if key in CONTAINERS and stream.peek() == "[":
            stream.take()
            elements = _elements(stream)
            if stream.peek() == "{":
                holds_rows = True
                yield from elements
            else:
                members[key] = list(elements)
        else:
            members[key] = stream.value()
        closing = stream.expect(",}") == "}"
    if not holds_rows:
        yield members
