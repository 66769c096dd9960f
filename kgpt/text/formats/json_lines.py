"""JSON lines: a row, and so a document, a line.

In: a file of lines, each a JSON object or string. Out: a document for each; empty lines are passed over. A line may
have any length that fits into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from kgpt.text.documents import Piece
from kgpt.text.formats.encoding import escaped_blocks, is_escaped, lines, not_utf8
from kgpt.text.formats.reading import Reading
from kgpt.text.formats.rows import NoTextError, RowText


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each line.

    Raises:
        KgptError: a line does not parse, has no text or a NUL in it, and errors stop.
        KgptFailure: the file cannot be read.
    """
    text_of = RowText(reading.options.text_field)
    name = reading.source.name
    for number, line in enumerate(lines(escaped_blocks(reading)), 1):
        if reading.escaped and is_escaped(line):
            not_utf8(reading, line, f"{name}:{number}")
        elif line and not line.isspace():
            try:
                text = text_of(json.loads(line))
            except NoTextError as error:
                reading.no_text(f"{name}:{number}", error)
            except (ValueError, RecursionError) as error:
                reading.damage(
                    "Not JSON",
                    f"{name}:{number}: {describe(error)}.",
                    "Mend the line, or leave such lines out with --on-error skip. (A file that is one JSON value"
                    " ends in .json.)",
                )
            else:
                yield from reading.row(text, f"{name}:{number}")


def describe(error: Exception) -> str:
    """What is wrong with JSON, and in which column."""
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
