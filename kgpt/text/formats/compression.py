"""The bytes of a file, unpacked, in blocks of bounded size.

In: a `Reading` of a file, plain or compressed. Out: blocks of bytes. A file that is cut or damaged ends in an error,
or, where damage is skipped, after what came before it.
"""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kgpt.errors import KgptFailure
from kgpt.language import N_, _
from kgpt.text.formats.reading import Reading, Source

BLOCK = 1 << 20
"""Bytes of a block."""
_ZSTD_INPUT = 1 << 10
"""Compressed bytes unpacked at a time. Of one byte zstd can make 32 KiB, and it sets no other bound."""
_ZSTD_WINDOW = 1 << 31
"""The largest window: what `zstd --long=31` writes."""


def blocks(reading: Reading) -> Iterator[bytes]:
    """The content of the source's file; every block but the last has `BLOCK` bytes.

    Raises:
        KgptError: the compressed file is cut or damaged, and errors stop.
        KgptFailure: the file cannot be read.
    """
    waiting = bytearray()
    for part in _parts(reading):
        if len(part) == BLOCK and not waiting:
            yield part
            continue
        waiting += part
        while len(waiting) >= BLOCK:
            yield bytes(waiting[:BLOCK])
            del waiting[:BLOCK]
    if waiting:
        yield bytes(waiting)


def file_of(source: Source) -> Path:
    """The path of a source that is a file."""
    if source.path is None:
        raise TypeError(f"{source.name} is no file")
    return source.path


def cannot_read(error: OSError, source: Source) -> KgptFailure:
    """The failure that tells a user that the system does not give a file."""
    return KgptFailure(
        _("Cannot read"),
        f"{source.name}: {error.strerror or error}.",
        _("Check the file and its permissions."),
    )


def _parts(reading: Reading) -> Iterator[bytes]:
    source, size = reading.source, 0
    unpacked = _zstd(reading) if source.compression == "zst" else _unpacked(reading)
    while True:
        try:
            part = next(unpacked, b"")
        except EOFError:
            reading.damage(
                N_("Cut file"),
                _(
                    "{name}: the file ends before its end mark, after {size:,} bytes of content.",
                    name=source.name,
                    size=size,
                ),
                _("Copy or download it again, or keep what is there with --on-error skip."),
            )
            return
        except (lzma.LZMAError, zlib.error, OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise cannot_read(error, source) from None
            reading.damage(
                N_("Damaged file"),
                _(
                    "{name}: not as a .{compression} file must be, after {size:,} "
                    "bytes of content ({error}).",
                    name=source.name,
                    compression=source.compression,
                    size=size,
                    error=error,
                ),
                _("Copy or download it again, or keep what is there with --on-error skip."),
            )
            return
        if not part:
            return
        size += len(part)
        yield part


def _unpacked(reading: Reading) -> Iterator[bytes]:
    with _opener(reading.source)(file_of(reading.source)) as file:
        while part := file.read1(BLOCK):
            reading.position.bytes = os.lseek(file.fileno(), 0, os.SEEK_CUR)
            yield part


def _opener(source: Source) -> Callable[[Path], Any]:
    if source.compression == "gz":
        import gzip

        return gzip.GzipFile
    if source.compression == "bz2":
        import bz2

        return bz2.BZ2File
    if source.compression == "xz":
        return lzma.LZMAFile
    return lambda path: open(path, "rb")


def _zstd(reading: Reading) -> Iterator[bytes]:
    """As `_unpacked`; a zstd file is one frame or several."""
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    frame = None
    try:
        with open(file_of(reading.source), "rb") as file:
            while packed := file.read(_ZSTD_INPUT):
                reading.position.bytes += len(packed)
                while packed:
                    if frame is None or frame.eof:
                        frame = unpacker.decompressobj()
                    if part := frame.decompress(packed):
                        yield part
                    packed = frame.unused_data if frame.eof else b""
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
    if frame is None or not frame.eof:
        raise EOFError
