"""JSON lines: a row, and so a document, a line.

In: a file of lines, each a JSON object or string. Out: a document for each; empty lines are passed over. A line may
have any length that fits into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.encoding import escaped_blocks, is_escaped, lines, not_utf8
from kgpt.text.formats.reading import Reading, quoted, without_surrogates
from kgpt.text.formats.rows import NoTextError, RowText

_SPACE = " \t\r\ufeff"


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each line.

    Raises:
        KgptError: a line does not parse, has no text or a NUL in it, and errors stop.
        KgptFailure: the file cannot be read.
    """
    text_of = RowText(reading.options.text_field)
    for number, value, line in values(reading):
        try:
            text = text_of(value)
        except NoTextError as error:
            reading.no_text(reading.place(number), error)
        else:
            if "\\ud" in line or "\\uD" in line:
                text = without_surrogates(text)
            yield from reading.row(text, number)


def values(reading: Reading) -> Iterator[tuple[int, Any, str]]:
    """The number of each line, what it holds, and the line itself.

    Raises:
        KgptError: a line does not parse, and errors stop.
        KgptFailure: the file cannot be read.
    """
    decode = json.JSONDecoder().raw_decode
    for number, line in enumerate(lines(escaped_blocks(reading)), 1):
        if reading.escaped and is_escaped(line):
            not_utf8(reading, line, number)
        elif line := line.strip(_SPACE):
            try:
                value, end = decode(line)
                if end < len(line):
                    raise json.JSONDecodeError("Extra data", line, end)
            except (ValueError, RecursionError) as error:
                reading.damage(
                    N_("Not JSON"),
                    f"{reading.place(number)}: {describe(error)}: {quoted(line)}.",
                    _(
                        "Mend the line, or leave such lines out with --on-error skip. (A "
                        "file that is one JSON value ends in .json.)"
                    ),
                )
            else:
                yield number, value, line


def describe(error: Exception) -> str:
    """What is wrong with JSON, and in which column."""
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"
    return _("nested too deeply") if isinstance(error, RecursionError) else str(error)
