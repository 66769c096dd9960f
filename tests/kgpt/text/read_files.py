"""Helpers of the tests of formats: compressors, and a file's documents, whole."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from kgpt.text.sources import ReadOptions, expand_sources, read_source

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}


def read(path: Path | str, **options: Any) -> list[str]:
    """The documents of a source."""
    return _read(path, ReadOptions(**options))[0]


def read_skipping(path: Path | str, **options: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """The documents of a damaged source, and reason and message of what was left out, with F for the source's name."""
    return _read(path, ReadOptions(on_error="skip", **options))


def _read(path: Path | str, options: ReadOptions) -> tuple[list[str], list[tuple[str, str]]]:
    (source,) = expand_sources([path])
    skipped: list[tuple[str, str]] = []

    def skip(reason: str, message: str) -> None:
        skipped.append((reason, message.replace(str(path), "F")))

    texts: list[str] = []
    parts: list[str] = []
    for piece in read_source(source, options, skip):
        parts.append(piece.text)
        if piece.ends_document:
            texts.append("".join(parts))
            parts = []
    assert not parts
    return texts, skipped
