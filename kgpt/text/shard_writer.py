"""Token ids into shards, in a way that can go on after any interruption.

In: ids as bytes, for each side of the split. Out: `train-00000.bin ...`, `validation-00000.bin ...`, and their
description for the manifest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from kgpt.files import write_json, written_aside
from kgpt.text.shards import FORMAT_VERSION, SPLITS, Corpus, Split
from kgpt.text.tokenizer import Tokenizer
from kgpt.text.workspace import check_replaceable

SHARD_TOKENS = 1 << 26
"""Tokens after which the next shard begins (128 MiB of uint16)."""

State = list[dict[str, Any]]


class ShardWriter:
    """Appends to the open shard of each side.

    Args:
        folder: where the shards lie.
        dtype: of an id.
        state: what `sync` returned; the files are cut back to it. Without one, the folder holds no shards yet.
    """

    def __init__(
        self,
        folder: Path,
        dtype: np.dtype[Any],
        state: State | None = None,
        shard_tokens: int = SHARD_TOKENS,
    ) -> None:
        self.folder, self.dtype, self.shard_tokens = folder, dtype, shard_tokens
        self._shards: State = [dict(shard) for shard in state or []]
        known = {shard["name"]: shard for shard in self._shards}
        for path in folder.glob("*.bin"):
            if path.name in known:
                os.truncate(path, known[path.name]["tokens"] * dtype.itemsize)
            else:
                path.unlink()
        self._open: dict[Split, tuple[dict[str, Any], IO[bytes]]] = {}
        for shard in self._shards:
            if shard["sha256"] is None:
                self._open[shard["split"]] = (shard, open(folder / shard["name"], "ab"))

    def append(self, split: Split, ids: bytes) -> None:
        """Write ids, in the writer's dtype, to the end of a side."""
        rest = memoryview(ids)
        while len(rest):
            shard, file = self._open.get(split) or self._begin(split)
            room = (self.shard_tokens - shard["tokens"]) * self.dtype.itemsize
            file.write(rest[:room])
            shard["tokens"] += len(rest[:room]) // self.dtype.itemsize
            rest = rest[room:]
            if shard["tokens"] == self.shard_tokens:
                self._end(split)

    def sync(self) -> State:
        """Bring everything to the disk; returns the state to go on from."""
        for _, file in self._open.values():
            file.flush()
            os.fsync(file.fileno())
        return [dict(shard) for shard in self._shards]

    def close(self) -> State:
        """End all shards and describe them, each with its sha256."""
        for split in tuple(self._open):
            self._end(split)
        return sorted(self._shards, key=lambda shard: (SPLITS.index(shard["split"]), shard["name"]))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *error: object) -> None:
        for _, file in self._open.values():
            file.close()

    def _begin(self, split: Split) -> tuple[dict[str, Any], IO[bytes]]:
        number = sum(shard["split"] == split for shard in self._shards)
        name = f"{split}-{number:05d}.bin"
        shard: dict[str, Any] = {"name": name, "split": split, "tokens": 0, "sha256": None}
        self._shards.append(shard)
        opened: tuple[dict[str, Any], IO[bytes]] = (shard, open(self.folder / name, "wb"))
        self._open[split] = opened
        return opened

    def _end(self, split: Split) -> None:
        shard, file = self._open.pop(split)
        file.flush()
        os.fsync(file.fileno())
        file.close()
        with open(self.folder / shard["name"], "rb") as written:
            shard["sha256"] = hashlib.file_digest(written, "sha256").hexdigest()


def write_manifest(
    folder: Path,
    tokenizer: Tokenizer,
    shards: Sequence[Mapping[str, Any]],
    byte_counts: Mapping[Split, int],
    documents: int,
    **others: Any,
) -> None:
    """Write `manifest.json`, which makes the shards in `folder` a corpus."""
    tokens = {side: sum(s["tokens"] for s in shards if s["split"] == side) for side in SPLITS}
    manifest = {
        "format_version": FORMAT_VERSION,
        "tokenizer_sha256": tokenizer.sha256,
        "vocabulary_size": tokenizer.vocabulary_size,
        "end_of_text": tokenizer.end_of_text,
        "dtype": tokenizer.dtype.name,
        "documents": documents,
        **{f"{side}_tokens": tokens[side] for side in SPLITS},
        **{f"{side}_bytes": byte_counts[side] for side in SPLITS},
        "shards": list(shards),
        **others,
    }
    write_json(folder / "manifest.json", manifest)


@dataclass(frozen=True)
class Part:
    """A document, or a part of one, for one side of the split."""

    split: Split
    text: str
    ends_document: bool = True
    """Whether the end-of-text id follows."""


def write_corpus(
    folder: Path,
    tokenizer: Tokenizer,
    parts: Iterable[Part],
    *,
    overwrite: bool = False,
    shard_tokens: int = SHARD_TOKENS,
) -> Corpus:
    """A corpus of texts at hand, whose sides are decided already; `kgpt prepare` is for all else.

    Raises:
        KgptError: the folder holds something else, or a corpus and `overwrite` is not set.
        KgptFailure: the disk is full or cannot be written.
    """
    check_replaceable(folder, overwrite)
    end = np.array([tokenizer.end_of_text], tokenizer.dtype).tobytes()
    documents, sizes = 0, dict.fromkeys(SPLITS, 0)
    with written_aside(folder) as aside:
        tokenizer.save(aside / "tokenizer")
        with ShardWriter(aside, tokenizer.dtype, shard_tokens=shard_tokens) as writer:
            for part in parts:
                ids = tokenizer.encode_bytes(part.text)
                writer.append(part.split, ids + (end if part.ends_document else b""))
                sizes[part.split] += len(part.text.encode())
                documents += part.ends_document
            write_manifest(aside, tokenizer, writer.close(), sizes, documents)
    return Corpus.open(folder)
