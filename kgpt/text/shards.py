"""A prepared corpus on disk: tokens in shards, a tokenizer, and a manifest that says what they are.

In: a folder made by `kgpt prepare`. Out: a `Corpus` that reads it as one long array a split.

    manifest.json   tokenizer/   train-00000.bin ...   validation-00000.bin ...

A shard is a plain array of little-endian uint16 ids (uint32 for vocabularies above 65,535 ids). Each document is
followed by the end-of-text id. The folder is written aside and renamed: it is there whole, or not at all.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kgpt.errors import KgptError
from kgpt.files import read_json
from kgpt.language import _
from kgpt.runs import data_folder
from kgpt.text.tokenizer import Tokenizer

FORMAT_VERSION = 1

_COUNTS = ("train_tokens", "train_bytes", "validation_tokens", "validation_bytes")

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")


class Tokens:
    """The shards of a split as one read-only array: `len`, an index, slices, and windows anywhere."""

    def __init__(self, shards: Iterable[NDArray[Any]], dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self._shards = [shard for shard in shards if len(shard)]
        self._starts = [0, *accumulate(map(len, self._shards))]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def shape(self) -> tuple[int]:
        """As a NumPy array's."""
        return (len(self),)

    def window(self, start: int, length: int) -> NDArray[Any]:
        """`length` tokens from `start` on; inside one shard it is a view and copies nothing.

        Raises:
            IndexError: the window does not lie inside the split.
        """
        if not 0 <= start <= start + length <= len(self):
            raise IndexError(f"window of {length} at {start} is not inside {len(self)} tokens")
        found: list[NDArray[Any]] = []
        index = bisect_right(self._starts, start) - 1
        while length > 0:
            offset = start - self._starts[index]
            part = np.asarray(self._shards[index][offset : offset + length])
            found.append(part)
            start, length, index = start + len(part), length - len(part), index + 1
        if len(found) == 1:
            return found[0]
        return np.concatenate(found) if found else np.empty(0, self.dtype)

    def __getitem__(self, key: int | slice) -> Any:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step > 0:
                return self.window(start, max(0, stop - start))[::step]
            return self.window(stop + 1, max(0, start - stop))[::-1][::-step]
        index = key + len(self) if key < 0 else key
        return self.window(index, 1)[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.window(0, len(self)), dtype=dtype or self.dtype)


@dataclass(frozen=True)
class Corpus:
    """A folder made by `kgpt prepare`."""

    folder: Path
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """The corpus in `folder`, a path or the name of a folder in the data folder.

        Raises:
            KgptError: it is not there, of another format version, or a shard is missing or cut.
        """
        found = Path(folder)
        if not found.exists() and (data_folder() / folder).exists():
            found = data_folder() / folder
        corpus = cls(found, _read_manifest(found))
        for shard in corpus.manifest["shards"]:
            _check_size(found / shard["name"], shard["tokens"] * corpus.dtype.itemsize)
        return corpus

    def tokens(self, split: Split) -> Tokens:
        """Every token of a split, memory-mapped."""
        shards = (
            np.memmap(self.folder / shard["name"], dtype=self.dtype, mode="r")
            for shard in self.manifest["shards"]
            if shard["split"] == split
        )
        return Tokens(shards, self.dtype)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made the tokens.

        Raises:
            KgptError: its files are missing or were changed since.
        """
        tokenizer = Tokenizer.load(self.tokenizer_folder)
        if tokenizer.sha256 != self.manifest["tokenizer_sha256"]:
            raise _damaged(self.folder, _("tokenizer/ is not the one that made the tokens"))
        return tokenizer

    def verify(self) -> None:
        """Read every shard and compare its checksum.

        Raises:
            KgptError: a shard's content was changed.
        """
        for shard in self.manifest["shards"]:
            with open(self.folder / shard["name"], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != shard["sha256"]:
                    raise _damaged(
                        self.folder, _("the content of {name} was changed", name=shard["name"])
                    )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Little-endian, as in the files."""
        return np.dtype(f"<u{np.dtype(str(self.manifest['dtype'])).itemsize}")

    @property
    def tokenizer_folder(self) -> Path:
        """Where the tokenizer's files lie."""
        return self.folder / "tokenizer"

    @property
    def train_tokens(self) -> int:
        """Tokens to train on."""
        return int(self.manifest["train_tokens"])

    @property
    def validation_tokens(self) -> int:
        """Tokens to validate on."""
        return int(self.manifest["validation_tokens"])

    @property
    def train_bytes(self) -> int:
        """UTF-8 bytes of the text to train on."""
        return int(self.manifest["train_bytes"])

    @property
    def validation_bytes(self) -> int:
        """UTF-8 bytes of the text to validate on: what bits per byte are counted against."""
        return int(self.manifest["validation_bytes"])

    @property
    def documents(self) -> int:
        """Documents in both splits."""
        return int(self.manifest["documents"])


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        what = (
            _("{folder} has no manifest.json.", folder=folder)
            if folder.is_dir()
            else _("There is no {folder}.", folder=folder)
        )
        raise KgptError(
            _("No prepared data"), what, _("Make it with `kgpt prepare SOURCE --output DIR`.")
        )
    manifest = read_json(path)
    if manifest.get("format_version") != FORMAT_VERSION:
        raise KgptError(
            _("Data of another format version"),
            _(
                "Expected version {format_version} in {path}. Received: {format_version_2!r}",
                format_version=FORMAT_VERSION,
                path=path,
                format_version_2=manifest.get("format_version"),
            ),
            _("Prepare the text again: `kgpt prepare ... --overwrite`."),
        )
    missing = {"shards", "dtype", "tokenizer_sha256", "documents", *_COUNTS} - manifest.keys()
    if missing:
        raise _damaged(
            folder, _("manifest.json lacks {missing}", missing=", ".join(sorted(missing)))
        )
    return manifest


def _check_size(path: Path, expected: int) -> None:
    if not path.is_file():
        raise _damaged(path.parent, _("{name} is missing", name=path.name))
    if path.stat().st_size != expected:
        received = path.stat().st_size
        raise _damaged(
            path.parent,
            _(
                "{name} has {received} bytes, {expected} were written",
                name=path.name,
                received=received,
                expected=expected,
            ),
        )


def _damaged(folder: Path, reason: str) -> KgptError:
    return KgptError(
        _("Damaged data"),
        f"{folder}: {reason}.",
        _("Prepare the text again: `kgpt prepare ... --overwrite`."),
    )
