"""CSV and TSV: a table with a header, a document a row.

In: a file whose first row names the columns. Out: a document for each further row, from the columns that
`rows.choose` takes, or the one that the user named. Fields are separated by tabs in `.tsv`; in `.csv` by what the
header has most of: comma, semicolon, tab or bar. A field that begins with a double quote ends with one, may hold line
ends, and has quotes inside doubled.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice

from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.encoding import escaped_blocks, is_escaped, lines, not_utf8
from kgpt.text.formats.reading import Reading, quoted
from kgpt.text.formats.rows import choose, join

FIELD_LIMIT = 1 << 28
"""Characters of a field. A quote that is never closed ends there, and not with the memory."""
_SAMPLE = 100
"""Rows that tell columns of text from columns of numbers."""
_QUOTES = N_(
    "A field that begins with a quote must end with one, and quotes inside are doubled. Mend the row, or leave such"
    " rows out with --on-error skip."
)
_Row = tuple[int, list[str]]
"""The line on which a row begins, and its fields."""


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each row.

    Raises:
        KgptError: the quoting is broken, a row has another number of fields than the header, it is not clear which
            column holds the text, and errors stop.
        KgptFailure: the file cannot be read.
    """
    rows = table_rows(reading)
    _, header = next(rows, (0, None))
    if header is None:
        return
    sample = list(islice(rows, _SAMPLE))
    columns = _columns(reading, header, sample)
    for line, row in chain(sample, rows) if columns else ():
        text = row[columns[0]] if len(columns) == 1 else join([row[column] for column in columns])
        if reading.escaped and is_escaped(text):
            not_utf8(reading, text, line)
        else:
            yield from reading.row(text, line)


def table_rows(reading: Reading) -> Iterator[_Row]:
    """The header, and the rows that have as many fields as it."""
    csv.field_size_limit(FIELD_LIMIT)
    with_ends = (line + "\n" for line in lines(escaped_blocks(reading)))
    first = next(with_ends, "")
    content = csv.reader(
        chain((first,), with_ends), delimiter=_delimiter(first, reading.source.kind), strict=True
    )
    width, name = 0, reading.source.name
    while True:
        start = content.line_num + 1
        try:
            row = next(content)
        except StopIteration:
            return
        except csv.Error as error:
            place = f"{name}:{start}"
            until = (
                _(" (read up to line {line_num})", line_num=content.line_num)
                if content.line_num > start
                else ""
            )
            reading.damage(
                N_("Broken row"),
                f"{place}: {error}{until}.",
                _QUOTES,
            )
            continue
        width = width or len(row)
        if len(row) == width > 0:
            yield start, row
        elif row:
            reading.damage(
                N_("Broken row"),
                _(
                    "{name}:{start}: expected {width} fields, as the header has, "
                    "received {count}: {row}.",
                    name=name,
                    start=start,
                    width=width,
                    count=len(row),
                    row=quoted("  ".join(row)),
                ),
                _QUOTES,
            )


def _delimiter(header: str, kind: str) -> str:
    return "\t" if kind == "tsv" else max(",;\t|", key=header.count)


def _columns(reading: Reading, header: list[str], sample: list[_Row]) -> list[int]:
    """Numbers of the columns that make a row's text, in order; none where that is not clear and errors are skipped."""
    field = reading.options.text_field
    if field is None:
        with_text = [
            name
            for column, name in enumerate(header)
            if any(_is_text(row[column]) for _line, row in sample)
        ]
        chosen = choose(with_text or header)
        problem = _("it is not clear which column holds the text")
    else:
        chosen = (field,) if field in header else ()
        problem = _("there is no column {field!r}", field=field)
    if not chosen:
        reading.no_text(
            reading.source.name,
            _("{problem}; there are: {header}", problem=problem, header=", ".join(header)),
        )
    return [header.index(name) for name in chosen]


def _is_text(value: str) -> bool:
    try:
        float(value.replace(",", "."))
    except ValueError:
        return bool(value.strip())
    return False
