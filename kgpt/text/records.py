"""The rows of a file with all their fields: what fine-tuning reads.

In: a file of `formats.kinds` (TSV, CSV, JSON lines, JSON, Parquet; or one of lines with tabs, whatever its name). Out:
`Record`s, in the order of the file. Unlike `sources`, which makes one text of a row, this keeps its fields apart, and
the file is small enough to be held in memory.

A table whose first row has none of the names that are looked for has no header: its columns are called 1, 2, 3 ... In
a TSV a quote is a character like others, unless only quoting makes all rows equally long.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.formats import json_lines, json_values, parquet
from kgpt.text.formats.encoding import escaped_blocks, is_escaped, lines, not_utf8
from kgpt.text.formats.kinds import advice, format_of, known
from kgpt.text.formats.reading import Reading, ReadOptions, Source, quoted
from kgpt.text.formats.tables import table_rows

OnError = Literal["stop", "skip"]
_Rows = Sequence[tuple[int, list[str]]]


class Record(NamedTuple):
    """One row."""

    place: str
    """Where it is, for messages: `file:line`, or `file: row number`."""
    fields: dict[str, Any]


def read_records(
    path: str | Path,
    known_fields: Collection[str],
    on_error: OnError = "stop",
    skipped: Callable[[str, str], None] = lambda reason, message: None,
) -> list[Record]:
    """The rows of a file.

    Args:
        path: of the file.
        known_fields: names, in lower case, of which a table's header has one at least.
        on_error: whether a broken row ends in an error, or is left out.
        skipped: told the reason and a message for each row that is left out.

    Raises:
        KgptError: there is no such file, it is of no known kind, empty, or broken.
        KgptFailure: it cannot be read.
    """
    source = _source(Path(path))
    reading = Reading(source, ReadOptions(on_error=on_error), skipped)
    if source.kind in ("csv", "tsv"):
        found = _table(reading, known_fields)
    else:
        found = _objects(reading)
    records = list(found)
    if not records:
        raise KgptError(
            _("Empty file"),
            _("There are no rows in {path}.", path=path),
            _("Give a file with a text and more a row."),
        )
    return records


def _source(path: Path) -> Source:
    if not path.is_file():
        what = _("is a folder") if path.is_dir() else _("does not exist")
        raise KgptError(
            _("File not found"),
            f"{path} {what}.",
            _("Give a file that ends in {known}.", known=known()),
        )
    found = format_of(path.name)
    if found is not None and found.kind not in ("text", "xml"):
        return Source(str(path), found.kind, found.compression, path)
    as_table = Source(str(path), "tsv", found.compression if found else "", path)
    reading = Reading(as_table, ReadOptions(on_error="skip"), lambda reason, message: None)
    first = next(lines(escaped_blocks(reading)), "")
    if "\t" not in first:
        raise KgptError(
            _("No rows"),
            _(
                "Expected a table or JSON: a file that ends in {known}. Received: {path}",
                known=known(),
                path=path,
            ),
            _("A text file must have a tab between the fields of each line.")
            if found
            else advice(str(path)),
        )
    return as_table


# === Objects ===


def _objects(reading: Reading) -> Iterator[Record]:
    rows: Iterator[tuple[Any, ...]]
    if reading.source.kind == "json-lines":
        rows = json_lines.values(reading)
    elif reading.source.kind == "json":
        rows = json_values.values(reading)
    else:
        rows = parquet.values(reading)
    for number, value, *_rest in rows:
        place = reading.place(number)
        if not isinstance(value, dict):
            reading.damage(
                N_("Not an object"),
                _(
                    "{place}: expected an object with fields, received {value}.",
                    place=place,
                    value=quoted(str(value)),
                ),
                _(
                    'Give each row as {"field": value, ...}, or leave such rows out '
                    "with --on-error skip."
                ),
            )
        elif any(isinstance(item, str) and is_escaped(item) for item in value.values()):
            not_utf8(reading, "".join(str(item) for item in value.values()), number)
        else:
            yield Record(place, value)


# === Tables ===


def _table(reading: Reading, known_fields: Collection[str]) -> Iterator[Record]:
    rows = _plain_rows(reading) if reading.source.kind == "tsv" else None
    if rows is None:
        rows = list(table_rows(_with_quotes(reading)))
    if not rows:
        return
    names = [name.strip() for name in rows[0][1]]
    if any(name.casefold() in known_fields for name in names):
        rows = rows[1:]
    else:
        names = [str(number) for number, _ in enumerate(names, 1)]
    for number, row in rows:
        if reading.escaped and is_escaped("".join(row)):
            not_utf8(reading, "".join(row), number)
        else:
            yield Record(reading.place(number), dict(zip(names, row, strict=True)))


def _plain_rows(reading: Reading) -> _Rows | None:
    """The rows of a TSV, a line each; None where quotes are needed to tell where rows end.

    A line that is broken, and not for its quotes, is damage.
    """
    found = [
        (number, line.rstrip("\r").split("\t"))
        for number, line in enumerate(lines(escaped_blocks(reading)), 1)
        if line.strip()
    ]
    widths = [len(row) for _line, row in found]
    if not found or min(widths) == max(widths):
        return [(number, [_unquoted(field) for field in row]) for number, row in found]
    if any(
        field.startswith('"') and not field.endswith('"') for _line, row in found for field in row
    ):
        return None
    usual = max(set(widths), key=widths.count)
    kept = []
    for number, row in found:
        if len(row) == usual:
            kept.append((number, row))
            continue
        reading.damage(
            N_("Broken row"),
            _(
                "{place}: expected {usual} fields, received {count}: {row}.",
                place=reading.place(number),
                usual=usual,
                count=len(row),
                row=quoted(chr(9).join(row)),
            ),
            _("Mend the line, or leave such lines out with --on-error skip."),
        )
    return kept


def _unquoted(field: str) -> str:
    """A field without the quotes that a program has put around it: those inside are doubled then."""
    inside = field[1:-1].replace('""', "")
    if (
        len(field) > 2
        and field[0] == field[-1] == '"'
        and '""' in field[1:-1]
        and '"' not in inside
    ):
        return field[1:-1].replace('""', '"')
    return field


def _with_quotes(reading: Reading) -> Reading:
    """The reading, from the file's beginning."""
    return dataclasses.replace(reading, escaped=False)
