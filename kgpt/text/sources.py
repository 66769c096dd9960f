"""Where texts come from: sources named by a user in, documents out.

A source is a file (text, Markdown, JSON lines, JSON, CSV, TSV, Parquet or a Wikipedia dump; plain or compressed), a
folder of them, a glob, `-` for standard input, `hf:NAME` for a data set of the Hugging Face Hub, or the built-in
`encyclopedia`. Files are read as streams, whatever their size. CRLF becomes LF and a byte-order mark is dropped;
nothing else is touched.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.text.documents import Piece
from kgpt.text.formats.compression import cannot_read
from kgpt.text.formats.names import SHUFFLED_ENCYCLOPEDIA, sources_of
from kgpt.text.formats.reading import DocumentsOption, Position, Reading, ReadOptions, Source

__all__ = [
    "DocumentsOption",
    "ReadOptions",
    "Source",
    "describe_sources",
    "expand_sources",
    "read_documents",
    "read_source",
]

_READERS = {
    "text": "plain",
    "json-lines": "json_lines",
    "json": "json_values",
    "csv": "tables",
    "tsv": "tables",
    "parquet": "parquet",
    "xml": "mediawiki",
    "hub": "hub",
}
"""The module of `kgpt.text.formats` that reads each kind."""
_HASHING_THREADS = 8
_DEFAULTS = ReadOptions()


def expand_sources(
    sources: Sequence[str | Path], report: Callable[[str], None] = lambda line: None
) -> list[Source]:
    """Every file that the sources mean, and what is no file, each once.

    Args:
        sources: as the user named them. The files of a folder or glob come in the order of their paths.
        report: told what is passed over in folders and globs, a line each.

    Raises:
        KgptError: a source is missing, or a file is not of a kind that can be read.
        KgptFailure: standard input could not be copied to the disk.
    """
    if not sources:
        raise KgptError(_("No source"), _("Expected a file, a folder or `encyclopedia`."), "")
    found: dict[Path | str, Source] = {}
    for name in sources:
        for source in sources_of(str(name), report):
            found.setdefault(source.path.resolve() if source.path else source.name, source)
    return list(found.values())


def describe_sources(
    sources: Sequence[Source], known: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """What each source consists of; equal `sha256`s mean that nothing has changed.

    Args:
        sources: what `expand_sources` gave.
        known: earlier descriptions. A file with the name, size and time of one is not read, and has its sha256.

    Returns:
        A dict each: `source` (the name), `bytes` (its size), `modified` (in ns since 1970; 0 for what is no file), and
        `sha256`. For a data set of the Hub, `bytes` is what it says of itself, and `sha256` is over the names and
        versions of its files.

    Raises:
        KgptError: a data set cannot be found.
        KgptFailure: a file cannot be read.
    """
    shas = {
        (item.get("source"), item.get("bytes"), item.get("modified")): item.get("sha256")
        for item in known
    }
    with ThreadPoolExecutor(_HASHING_THREADS) as threads:
        return list(threads.map(lambda source: _describe(source, shas), sources))


def read_source(
    source: Source,
    options: ReadOptions = _DEFAULTS,
    skipped: Callable[[str, str], None] = lambda reason, message: None,
    position: Position | None = None,
) -> Iterator[Piece]:
    """The documents of a source in its order, as pieces; those of nothing but white space are left out.

    Args:
        source: what `expand_sources` gave.
        options: how to read it.
        skipped: with `on_error="skip"` called with the reason and a message for each row or part that is left out.
        position: kept up to date with how far into the file the reader is.

    Raises:
        KgptError: the source has no text in it, or is damaged, and errors stop.
        KgptFailure: it cannot be read.
    """
    reading = Reading(source, options, skipped, position or Position())
    is_empty = is_start = True
    for piece in _pieces(reading):
        if is_start and piece.ends_document and (not piece.text or piece.text.isspace()):
            continue
        yield piece
        is_start, is_empty = piece.ends_document, False
    if is_empty:
        reading.damage(
            N_("Empty source"),
            _("There is no text in {name}.", name=source.name),
            _("Give a file with text in it."),
        )


def read_documents(
    sources: Sequence[str | Path], documents: DocumentsOption = "file", seed: int = 1
) -> Iterator[str]:
    """The documents of all sources in order, each whole.

    Args:
        sources: as the user named them; a file named twice is read once.
        documents: what a document is in a text file: the whole `file`, the text between two `blank-line`s, or a
            `line`. A row of another file or an article of the encyclopedia is always one.
        seed: of the encyclopedia's phrasings.

    Raises:
        KgptError: a source is missing, empty or damaged.
        KgptFailure: a file cannot be read.
    """
    options = ReadOptions(documents, seed=seed)
    parts: list[str] = []
    for source in expand_sources(sources):
        for piece in read_source(source, options):
            parts.append(_plain(piece))
            if piece.ends_document:
                yield "".join(parts)
                parts = []


def _pieces(reading: Reading) -> Iterator[Piece]:
    source = reading.source
    if source.kind == "encyclopedia":
        from kgpt.text import encyclopedia

        is_shuffled = source.name == SHUFFLED_ENCYCLOPEDIA
        return map(Piece, encyclopedia.documents(reading.options.seed, shuffle_facts=is_shuffled))
    reader = import_module(f"kgpt.text.formats.{_READERS[source.kind]}")
    pieces: Iterator[Piece] = reader.read(reading)
    return pieces


def _plain(piece: Piece) -> str:
    if piece.markup == "plain":
        return piece.text
    from kgpt.text.formats.wikitext import plain_text

    return plain_text(piece.text)


# === Descriptions ===


def _describe(source: Source, known: Mapping[Any, Any]) -> dict[str, Any]:
    if source.kind == "hub":
        from kgpt.text.formats.hub import describe

        return _description(source, *describe(source.name))
    if source.path is None:
        return _description(source, *_encyclopedia())
    try:
        status = os.stat(source.path)
        if source.sha256:
            return _description(source, status.st_size, source.sha256)
        sha256 = known.get((source.name, status.st_size, status.st_mtime_ns))
        if not isinstance(sha256, str):
            with open(source.path, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise cannot_read(error, source) from None
    return _description(source, status.st_size, sha256, status.st_mtime_ns)


def _description(source: Source, size: int, sha256: str, modified: int = 0) -> dict[str, Any]:
    return {"source": source.name, "bytes": size, "modified": modified, "sha256": sha256}


def _encyclopedia() -> tuple[int, str]:
    """Size and sha256 of the built-in corpus: of its tables and of the code that words them."""
    from kgpt.text import encyclopedia

    digest, size = hashlib.sha256(), 0
    for path in sorted(Path(encyclopedia.__file__).parent.rglob("*")):
        if path.suffix in (".py", ".toml", ".tsv"):
            content = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + content)
            size += len(content)
    return size, digest.hexdigest()
