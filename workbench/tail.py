"""Reads a growing JSON-lines file from where the last read ended.

In: the path of a file that another process appends to, cuts, or replaces. Out: the new rows, a bounded amount at a
time, and whether the file began anew. A half-written last line waits until its newline arrives; lines that are no
JSON object are counted and skipped. Knows no Textual.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, cast

CHUNK_BYTES = 1 << 20
"""Most bytes taken in by one read: a million-row file must not hold up whoever is waiting."""

MARK_BYTES = 64
"""Bytes before the read position that are compared to notice a file rewritten in place."""


@dataclass(frozen=True)
class Lines:
    """What one read found."""

    lines: list[bytes] = field(default_factory=list)
    start: int = 0
    """Where in the file the first of them begins; each begins where the one before ends."""
    restarted: bool = False
    """The file was cut, replaced or removed: everything read before is void."""
    more: bool = False
    """There is more to read at once."""


class LineTail:
    """Follows the complete lines of one file. Creating it touches nothing; no file is kept open."""

    def __init__(self, path: Path, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.path = path
        self.chunk_bytes = chunk_bytes
        self._position = 0
        self._mark = b""
        self._inside_long_line = False
        self._signature: tuple[int, ...] = ()

    def read(self) -> Lines:
        """The complete lines since the last read; an unreadable file reads as empty."""
        try:
            status = os.stat(self.path)
            signature = (status.st_ino, status.st_size, status.st_mtime_ns)
            if signature == self._signature:
                return Lines()
            with open(self.path, "rb") as file:
                restarted = self._rewind_if_rewritten(file)
                lines, start, more = self._read_on(file)
        except OSError:
            return Lines(restarted=self._forget())
        self._signature = () if more else signature
        return Lines(lines, start, restarted, more)

    def _rewind_if_rewritten(self, file: Any) -> bool:
        """Go back to the start unless the bytes just before the position are those that were read."""
        file.seek(self._position - len(self._mark))
        return file.read(len(self._mark)) != self._mark and self._forget()

    def _forget(self) -> bool:
        """Start over; whether anything had been read."""
        had_read = self._position > 0
        self._position, self._mark, self._inside_long_line, self._signature = 0, b"", False, ()
        return had_read

    def _read_on(self, file: Any) -> tuple[list[bytes], int, bool]:
        file.seek(self._position)
        chunk = file.read(self.chunk_bytes)
        more = len(chunk) == self.chunk_bytes
        end = chunk.rfind(b"\n") + 1
        if not end and not more:
            return [], self._position, False
        taken, start = chunk[:end] or chunk, self._position
        self._position += len(taken)
        self._mark = (self._mark + taken)[-MARK_BYTES:]
        lines = taken.split(b"\n")[:-1]
        if self._inside_long_line and lines:
            start += len(lines[0]) + 1
            del lines[0]
        self._inside_long_line = not end
        return lines, start, more


@dataclass(frozen=True)
class Rows:
    """The JSON objects that one read found."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Where in the file the line of each begins."""
    restarted: bool = False
    more: bool = False


class JsonTail:
    """Follows the JSON objects of one file, a line each."""

    def __init__(self, path: Path, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._tail = LineTail(path, chunk_bytes)
        self.skipped = 0
        """Lines so far that were no JSON object."""

    def read(self) -> Rows:
        """The objects since the last read; numbers may be NaN or infinite."""
        found = self._tail.read()
        if found.restarted:
            self.skipped = 0
        ends = itertools.accumulate((len(line) + 1 for line in found.lines), initial=found.start)
        filled = [pair for pair in zip(found.lines, ends, strict=False) if pair[0].strip()]
        parsed = parse_all([line for line, _ in filled])
        self.skipped += sum(row is None for row in parsed)
        kept = [(row, at) for row, (_, at) in zip(parsed, filled, strict=True) if row is not None]
        rows, offsets = [row for row, _ in kept], [at for _, at in kept]
        return Rows(rows, offsets, found.restarted, found.more)


def read_between(path: Path, start: int, end: int) -> list[dict[str, Any]]:
    """The objects in the lines between two places of a file that have been read before."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            lines = file.read(max(0, end - start)).split(b"\n")
    except OSError:
        return []
    return [row for row in parse_all([line for line in lines if line.strip()]) if row is not None]


def parse_all(filled: list[bytes]) -> list[dict[str, Any] | None]:
    """The object in each line, none of which is blank; None for garbage."""
    try:  # one call for all is twice as fast as one for each, and nearly always right
        rows = json.loads(b"[" + b",".join(filled) + b"]")
        if len(rows) == len(filled) and all(type(row) is dict for row in rows):
            return cast(list[dict[str, Any] | None], rows)
    except (ValueError, RecursionError):
        pass
    return [_parse(line) for line in filled]


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value out of a JSON file is a finite number that a float can hold."""
    is_numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_numeric and abs(value) <= sys.float_info.max
