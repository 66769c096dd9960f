"""The last stage of preparing text: tokens.

In: chunks, and what becomes of each document. Out: shards in the work folder, and counts. The workers encode; this
process appends what they return, in order, and notes now and then how far it is, so that an interrupted call goes on
from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kgpt.files import read_json, write_json
from kgpt.text.chunks import Chunk
from kgpt.text.parallel import Workers
from kgpt.text.shard_writer import SHARD_TOKENS, ShardWriter, State
from kgpt.text.shards import SPLITS, Split
from kgpt.text.sorting_out import VALIDATION, Verdict
from kgpt.text.tokenizer import Tokenizer
from kgpt.text.workspace import Workspace

SYNC_SECONDS = 5.0
"""Seconds of work that an interruption may cost."""


@dataclass(frozen=True)
class EncodeTask:
    """A chunk to encode."""

    path: Path
    fates: NDArray[np.uint8]
    """Of its documents; the last one may go on in the next chunk."""
    copy: int
    """Which copy of the documents this is, from 0 on."""
    cut: int | None
    """Characters from the chunk's start after which a single document goes to validation."""


@dataclass
class Counts:
    """What was written."""

    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    """Of UTF-8, without what separates documents."""
    documents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    """Copies counted each."""

    def add(self, other: Counts) -> None:
        """Add what one task counted."""
        for mine, theirs in (
            (self.tokens, other.tokens),
            (self.bytes, other.bytes),
            (self.documents, other.documents),
        ):
            for split in SPLITS:
                mine[split] += theirs[split]


def encode(
    workspace: Workspace,
    chunks: Sequence[Chunk],
    verdict: Verdict,
    tokenizer: Tokenizer,
    workers: Workers,
    shard_tokens: int = SHARD_TOKENS,
    on_progress: Callable[[Counts], None] = lambda counts: None,
) -> tuple[State, Counts]:
    """Write the shards; returns their description and what they hold.

    `tokenizer` lies in `workspace.corpus` already: from there the workers load it.

    Raises:
        KgptFailure: the disk is full, or a worker died.
    """
    progress = read_json(workspace.progress_file)
    if progress.get("tokenizer") != tokenizer.sha256:
        progress = {}
    done = int(progress.get("tasks", 0))
    counts = Counts(**progress.get("counts", {}))
    tasks = _tasks(chunks, verdict)
    for _ in range(done):
        next(tasks)
    make_work = partial(Encoder, workspace.corpus / "tokenizer")
    saved_at = time.monotonic()
    with ShardWriter(
        workspace.corpus, tokenizer.dtype, progress.get("shards"), shard_tokens
    ) as writer:
        for encoded, added in workers.ordered_map(make_work, tasks):
            for split, ids in encoded.items():
                writer.append(split, ids)
            counts.add(added)
            done += 1
            if time.monotonic() - saved_at > SYNC_SECONDS:
                state = {"tasks": done, "shards": writer.sync(), "counts": asdict(counts)}
                write_json(workspace.progress_file, {"tokenizer": tokenizer.sha256, **state})
                saved_at = time.monotonic()
            on_progress(counts)
        return writer.close(), counts


def _tasks(chunks: Sequence[Chunk], verdict: Verdict) -> Iterator[EncodeTask]:
    cut: int | None = None
    if verdict.train_share < 1:
        cut = int(sum(sum(map(len, chunk.texts())) for chunk in chunks) * verdict.train_share)
    for copy in range(verdict.passes):
        for index, chunk in enumerate(chunks):
            yield EncodeTask(chunk.path, verdict.of_chunk(index), copy, cut)
            if cut is not None:
                cut -= sum(map(len, chunk.texts()))


class Encoder:
    """Encodes a chunk; returns the ids of each side as bytes, and what they are."""

    def __init__(self, tokenizer_folder: Path) -> None:
        self._tokenizer = Tokenizer.load(tokenizer_folder)
        self._end = np.array([self._tokenizer.end_of_text], self._tokenizer.dtype).tobytes()

    def __call__(self, task: EncodeTask) -> tuple[dict[Split, bytes], Counts]:
        """Do one task."""
        chunk = Chunk(task.path)
        ends = chunk.numbers("ends_document")
        document = np.cumsum(ends) - ends
        fates = task.fates[document]
        sides: list[Split] = []
        parts: list[str] = []
        ends_after: list[bool] = []
        position = 0
        for text, is_end, fate in zip(chunk.texts(), ends, fates, strict=True):
            for side, part, ends_document in _parts(text, bool(is_end), int(fate), task, position):
                sides.append(side)
                parts.append(part)
                ends_after.append(ends_document)
            position += len(text)
        found: dict[Split, list[bytes]] = {"train": [], "validation": []}
        counts = Counts()
        encoded = self._tokenizer.encode_batch_bytes(parts)
        for side, part, ids, ends_document in zip(sides, parts, encoded, ends_after, strict=True):
            found[side] += [ids, self._end] if ends_document else [ids]
            counts.tokens[side] += len(ids) // len(self._end) + ends_document
            counts.bytes[side] += len(part.encode())
            counts.documents[side] += ends_document
        return {side: b"".join(ids) for side, ids in found.items()}, counts


def _parts(
    text: str, is_end: bool, fate: int, task: EncodeTask, position: int
) -> Iterator[tuple[Split, str, bool]]:
    """Where a piece goes, if anywhere: side, text, and whether the end of text follows."""
    if task.cut is not None:
        cut = min(max(task.cut - position, 0), len(text))
        if cut:
            yield "train", text[:cut], False
        if cut < len(text) or is_end:
            yield "validation", text[cut:], is_end
    elif fate == VALIDATION:
        if task.copy == 0:
            yield "validation", text, is_end
    elif task.copy < fate:
        yield "train", text, is_end
