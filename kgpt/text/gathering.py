"""The first stage of preparing text: everything is read once, cleaned, and laid down in chunks.

In: sources and options. Out: chunk files in the work folder, and counts of what was read, left out and changed. Reading
happens in this process, in order; cleaning, hashing and writing in the workers. How pieces fall into chunks depends on
the sources alone, so a chunk that is already there need not be made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.chunks import Chunk, Rows, write_chunk
from kgpt.text.cleaning import Cleaner
from kgpt.text.documents import Piece
from kgpt.text.duplicates import document_key, signatures
from kgpt.text.formats.reading import Position
from kgpt.text.parallel import Workers
from kgpt.text.sources import ReadOptions, Source, read_source
from kgpt.text.workspace import Workspace

CHUNK_CHARACTERS = 1 << 22
"""Text after which a chunk is full. It bounds the memory that a task takes."""
DOCUMENT_COST = 64
"""Characters that a document counts for beside its own, so that very short ones fill a chunk too."""


@dataclass(frozen=True)
class GatherTask:
    """Pieces for one chunk."""

    path: Path
    pieces: list[tuple[int, Piece]]
    """Each with the number of its source."""
    starts_inside: bool
    """Whether the first one goes on with a document of the chunk before."""


@dataclass
class Gathered:
    """What the first stage counted."""

    chunks: int = 0
    read: int = 0
    """Documents."""
    bytes_read: int = 0
    """UTF-8 bytes before cleaning."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Documents that a cleaning step left out, by step."""
    changed: Counter[str] = field(default_factory=Counter)
    """Documents that a cleaning step changed, by step."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Damaged rows and files that were passed over, by reason."""
    sources: Sequence[int] = ()
    """Numbers of the sources that are to be read."""
    begun: list[int] = field(default_factory=list)
    """Numbers of the sources that have been begun, in order."""
    position: Position = field(default_factory=Position)
    """How far into the last of these the reader is."""

    def cleaning(self, steps: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many documents each step changed and dropped."""
        names = [step.partition("=")[0].strip() for step in steps]
        return {
            name: {"changed": self.changed[name], "dropped": self.dropped[name]} for name in names
        }

    def check_something_is_left(self) -> None:
        """Raise where no document is left, and say what became of them.

        Raises:
            KgptError: cleaning dropped all, or all rows and files were skipped.
        """
        if self.read > sum(self.dropped.values()):
            return
        reasons = [f"{count:,} by {name}" for name, count in sorted(self.dropped.items())]
        reasons += [f"{count:,} skipped ({name})" for name, count in sorted(self.skipped.items())]
        raise KgptError(
            _("No text left"),
            _(
                "Of {read:,} documents none is left: {reasons}.",
                read=self.read,
                reasons=", ".join(reasons) or _("they are empty"),
            ),
            _("Look at the source with --on-error stop, or use fewer --clean steps."),
        )

    def add(self, counts: dict[str, Any]) -> None:
        """Add what one chunk counted."""
        self.chunks += 1
        self.read += counts["read"]
        self.bytes_read += counts["bytes_read"]
        self.dropped.update(counts["dropped"])
        self.changed.update(counts["changed"])


def gather(
    workspace: Workspace,
    sources: Sequence[Source],
    options: ReadOptions,
    clean: Sequence[str],
    with_signatures: bool,
    workers: Workers,
    shard: tuple[int, int] | None = None,
    on_progress: Callable[[Gathered], None] = lambda gathered: None,
) -> Gathered:
    """Make all chunks that are not there yet.

    Args:
        workspace: where they go.
        sources: read in this order.
        options: how they are read.
        clean: cleaning steps, as `kgpt.text.cleaning.Cleaner` takes them.
        with_signatures: whether near-duplicates are to be found.
        workers: who cleans and writes.
        shard: (i, n), 1 <= i <= n: only the i-th of n parts of the corpus.
        on_progress: called after each chunk.

    Raises:
        KgptError: a source or a step is not as it must be.
        KgptFailure: the disk is full, or a file cannot be read.
    """
    numbers: Sequence[int] = range(len(sources))
    if shard is not None and parts_have_whole_sources(len(sources), shard[1]):
        numbers, shard = range(shard[0] - 1, len(sources), shard[1]), None
    gathered = Gathered(sources=numbers)
    pieces = _of_shard(_read(sources, options, gathered), shard)
    make_work = partial(Gatherer, clean, with_signatures)
    for counts in workers.ordered_map(make_work, _tasks(workspace, pieces)):
        gathered.add(counts)
        on_progress(gathered)
    return gathered


# === Reading, in this process ===


def parts_have_whole_sources(sources: int, parts: int) -> bool:
    """Whether each part of a corpus reads sources of its own, and not some documents of all."""
    return sources >= 2 * parts


def _read(
    sources: Sequence[Source], options: ReadOptions, gathered: Gathered
) -> Iterator[tuple[int, Piece]]:
    def skip(reason: str, message: str) -> None:
        gathered.skipped[reason] += 1

    for number in gathered.sources:
        gathered.begun.append(number)
        gathered.position.bytes = 0
        for piece in read_source(sources[number], options, skip, gathered.position):
            yield number, piece


def _of_shard(
    pieces: Iterator[tuple[int, Piece]], shard: tuple[int, int] | None
) -> Iterator[tuple[int, Piece]]:
    """The pieces of the documents of one part, drawn by their text, so that equal ones are in one part."""
    if shard is None:
        yield from pieces
        return
    index, count = shard[0] - 1, shard[1]
    is_mine, begins = False, True
    for number, piece in pieces:
        if begins:
            is_mine = document_key(piece.text) % count == index
        if is_mine:
            yield number, piece
        begins = piece.ends_document


def _tasks(workspace: Workspace, pieces: Iterator[tuple[int, Piece]]) -> Iterator[GatherTask]:
    batch: list[tuple[int, Piece]] = []
    size, index, starts_inside = 0, 0, False
    for number, piece in pieces:
        batch.append((number, piece))
        size += len(piece.text) + DOCUMENT_COST
        if size >= CHUNK_CHARACTERS:
            yield GatherTask(workspace.chunk(index), batch, starts_inside)
            batch, size, index, starts_inside = [], 0, index + 1, not piece.ends_document
    if batch:
        yield GatherTask(workspace.chunk(index), batch, starts_inside)


# === Cleaning, in the workers ===


class Gatherer:
    """Makes a chunk of a task, unless it is there already; returns its counts."""

    def __init__(self, clean: Sequence[str], with_signatures: bool) -> None:
        self._cleaner = Cleaner(clean)
        self._with_signatures = with_signatures

    def __call__(self, task: GatherTask) -> dict[str, Any]:
        """Do one task."""
        chunk = Chunk(task.path)
        if chunk.is_whole():
            return chunk.counts
        rows = Rows()
        counts: dict[str, Any] = {"read": 0, "bytes_read": 0}
        dropped: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        is_inside = task.starts_inside
        for source, piece in task.pieces:
            is_whole = piece.ends_document and not is_inside
            is_inside = not piece.ends_document
            counts["read"] += piece.ends_document
            counts["bytes_read"] += len(piece.text.encode("utf-8", "replace"))
            reason = self._add(rows, source, piece, is_whole, changed)
            if reason:
                dropped[reason] += 1
        counts |= {"dropped": dict(dropped), "changed": dict(changed)}
        if self._with_signatures:
            rows.bands = [row.tobytes() for row in signatures(rows.text).astype("<u8")]
        else:
            rows.bands = [b""] * len(rows.text)
        write_chunk(task.path, rows, counts)
        return counts

    def _add(
        self, rows: Rows, source: int, piece: Piece, is_whole: bool, changed: Counter[str]
    ) -> str | None:
        """Clean a piece and add it as a row; returns the step that dropped it."""
        text = piece.text
        if piece.markup == "wikitext":
            from kgpt.text.formats.wikitext import plain_text

            text = plain_text(text)
        cleaned = self._cleaner.clean(text, is_whole)
        changed.update(cleaned.changed_by)
        is_dropped = cleaned.dropped_by is not None
        if is_dropped and is_whole:
            return cleaned.dropped_by
        # A part of a long document may be dropped, but not the place where the document ends.
        text = "" if is_dropped else cleaned.text
        rows.text.append(text)
        rows.ends_document.append(piece.ends_document)
        rows.source.append(source)
        rows.key.append(document_key(text))
        rows.size.append(len(text.encode()))
        return None
