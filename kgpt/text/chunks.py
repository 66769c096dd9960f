"""Cleaned documents on disk between reading and encoding: files of a few megabytes that any process can read alone.

In: pieces of documents, cleaned. Out: an Arrow file (zstd) with a row a piece, in which each column can be read without
the others. A chunk is there whole or not at all, so the chunks that exist are the work that is done.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptFailure
from kgpt.language import _


@dataclass
class Rows:
    """The pieces of a chunk, column by column."""

    text: list[str] = field(default_factory=list)
    ends_document: list[bool] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    """Number of the source in the order given."""
    key: list[int] = field(default_factory=list)
    """64-bit hash of the text."""
    size: list[int] = field(default_factory=list)
    """Bytes of UTF-8."""
    bands: list[bytes] = field(default_factory=list)
    """The near-duplicate signature, or nothing."""


def write_chunk(path: Path, rows: Rows, counts: Mapping[str, Any]) -> None:
    """Write `rows` aside and rename; `counts` is kept in the file.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    import pyarrow as pa
    from pyarrow import ipc

    columns = {
        "text": pa.array(rows.text, pa.large_utf8()),
        "ends_document": pa.array(rows.ends_document, pa.bool_()),
        "source": pa.array(rows.source, pa.uint32()),
        "key": pa.array(rows.key, pa.uint64()),
        "size": pa.array(rows.size, pa.uint64()),
        "bands": pa.array(rows.bands, pa.binary()),
    }
    table = pa.table(columns).replace_schema_metadata({"counts": json.dumps(counts)})
    options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))
    aside = path.with_suffix(".tmp")
    with open(aside, "wb") as file:
        with ipc.new_file(file, table.schema, options=options) as writer:
            writer.write_table(table)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


@dataclass(frozen=True)
class Chunk:
    """A chunk on disk."""

    path: Path

    def is_whole(self) -> bool:
        """Whether it is there and can be read to its end."""
        try:
            return bool(self.counts)
        except (KgptFailure, OSError):
            return False

    @cached_property
    def counts(self) -> dict[str, Any]:
        """What `write_chunk` was given.

        Raises:
            KgptFailure: the file is damaged.
        """
        metadata = self._open([]).schema.metadata or {}
        values: dict[str, Any] = json.loads(metadata.get(b"counts", b"{}"))
        return values

    def texts(self) -> list[str]:
        """The pieces' texts.

        Raises:
            KgptFailure: the file is damaged.
        """
        found: list[str] = self._column("text").to_pylist()
        return found

    def numbers(self, name: str) -> NDArray[Any]:
        """A column other than the texts: (pieces,), or (pieces, bands) for `bands`.

        Raises:
            KgptFailure: the file is damaged.
        """
        column = self._column(name)
        if name == "bands":
            joined = b"".join(column.to_pylist())
            return np.frombuffer(joined, "<u8").reshape(len(column), -1)
        array: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return array

    def _column(self, name: str) -> Any:
        return self._open([name]).read_all().column(0).combine_chunks()

    def _open(self, columns: list[str]) -> Any:
        import pyarrow as pa
        from pyarrow import ipc

        try:
            source = pa.memory_map(str(self.path))
            schema = ipc.open_file(source).schema
            chosen = [schema.get_field_index(name) for name in columns]
            return ipc.open_file(source, options=ipc.IpcReadOptions(included_fields=chosen))
        except (OSError, pa.ArrowInvalid) as error:
            raise KgptFailure(
                _("Damaged work folder"),
                f"{self.path}: {error}.",
                _("Remove {parent} and prepare again.", parent=self.path.parent.parent),
            ) from error
