"""Parquet: a document a row, read a batch of rows at a time.

In: a file with a column of strings, or with columns of one of the shapes in `rows`. Out: a document for each row.
Only the columns that make the text are read, and of these no more than about `BATCH_BYTES` at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.compression import cannot_read, file_of
from kgpt.text.formats.encoding import decode_bytes, is_escaped, not_utf8
from kgpt.text.formats.reading import Reading
from kgpt.text.formats.rows import CONVERSATIONS, NoTextError, RowText, choose

BATCH_BYTES = 1 << 23
"""Unpacked bytes of a batch of rows, by the average over the file."""
_MOST_ROWS = 1 << 13


def read(reading: Reading) -> Iterator[Piece]:
    """The text of each row.

    Raises:
        KgptError: the file is no Parquet file or is damaged, no column holds text or it is not clear which does, and
            errors stop.
        KgptFailure: the file cannot be read.
    """
    text_of = RowText()
    reading.unit = "row"
    for number, row in enumerate(_rows(reading, _columns), 1):
        try:
            text = text_of(row)
        except NoTextError as error:
            reading.no_text(reading.place(number), error)
            continue
        if reading.escaped and is_escaped(text):
            not_utf8(reading, text, number)
        else:
            yield from reading.row(text, number)


def values(reading: Reading) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each row, and all its columns by name.

    Raises:
        KgptError: the file is no Parquet file or is damaged, and errors stop.
        KgptFailure: the file cannot be read.
    """
    reading.unit = "row"
    names: list[str] = []

    def all_columns(reading: Reading, schema: Any) -> list[str]:
        names[:] = schema.names
        return names

    for number, row in enumerate(_rows(reading, all_columns), 1):
        yield number, row if isinstance(row, dict) else {names[0]: row}


def _rows(reading: Reading, columns: Callable[[Reading, Any], list[str]]) -> Iterator[Any]:
    """The text of each row where one column of strings has it; else an object with the columns that are chosen."""
    batches = _batches(reading, columns)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except KgptError:
            raise
        except (OSError, ValueError) as error:  # pyarrow's own errors are of these two
            if isinstance(error, OSError) and error.errno is not None:
                raise cannot_read(error, reading.source) from None
            reading.damage(
                N_("Damaged file"),
                _(
                    "{name}: no Parquet file, or cut or damaged ({error}).",
                    name=reading.source.name,
                    error=str(error).splitlines()[0],
                ),
                _("Copy or download it again, or go on without it with --on-error skip."),
            )
            return
        found = [_values(reading, column) for column in batch.columns]
        if len(found) == 1 and not any(isinstance(value, list) for value in found[0]):
            yield from ("" if value is None else value for value in found[0])
        else:
            names = batch.schema.names
            yield from (
                dict(zip(names, values, strict=True)) for values in zip(*found, strict=True)
            )


def _batches(reading: Reading, columns: Callable[[Reading, Any], list[str]]) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(
        file_of(reading.source), pre_buffer=False, buffer_size=1 << 20
    ) as file:
        names = columns(reading, file.schema_arrow)
        if names:
            size = sum(
                file.metadata.row_group(group).total_byte_size
                for group in range(file.num_row_groups)
            )
            most = BATCH_BYTES * file.metadata.num_rows // max(1, size)
            size = file_of(reading.source).stat().st_size
            done = 0
            for batch in file.iter_batches(max(1, min(most, _MOST_ROWS)), columns=names):
                done += len(batch)
                reading.position.bytes = size * done // file.metadata.num_rows
                yield batch


def _columns(reading: Reading, schema: Any) -> list[str]:
    """The columns that make a row's text; none where that is not clear and errors are skipped."""
    from pyarrow import types

    field = reading.options.text_field
    if field is not None:
        if field in schema.names:
            kind = schema.field(field).type
            if _is_string(kind) or types.is_nested(kind):
                return [field]
            problem = _("column {field!r} holds no text", field=field)
        else:
            problem = _("there is no column {field!r}", field=field)
    else:
        for name in CONVERSATIONS:
            if name in schema.names and types.is_nested(schema.field(name).type):
                return [name]
        strings = [item.name for item in schema if _is_string(item.type) or item.name == "answers"]
        if chosen := choose(strings):
            return list(chosen)
        problem = (
            _("it is not clear which column holds the text")
            if strings
            else _("no column holds text")
        )
    columns = ", ".join(f"{item.name} ({item.type})" for item in schema)
    reading.no_text(
        reading.source.name, _("{problem}; there are: {columns}", problem=problem, columns=columns)
    )
    return []


def _is_string(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _values(reading: Reading, column: Any) -> list[Any]:
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        if not _is_string(column.type):
            raise
    import pyarrow

    values = column.cast(pyarrow.large_binary()).to_pylist()
    return [value if value is None else decode_bytes(reading, value) for value in values]
