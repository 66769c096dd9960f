"""Prepared corpora: in, the folder of data; out, what each one's manifest tells, and tokens from a random place of it.

Reads what `kgpt prepare` leaves, and nothing that it does not need: a window is a few hundred bytes of one shard. Knows
no Textual.
"""

from __future__ import annotations

import os
import random
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError
from kgpt.files import read_json
from kgpt.language import N_, _
from workbench.tail import is_number

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
SPLITS = (N_("train"), N_("validation"))
TYPES = {"uint16": "H", "uint32": "I"}
"""Of the manifest, and as the standard library calls them."""


@dataclass(frozen=True)
class CorpusSummary:
    """One prepared corpus, or a folder that looks like one."""

    name: str
    path: Path
    problem: str = ""
    """Why it cannot be read."""
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def number(self, key: str, within: str = "") -> float | None:
        """A number of the manifest, or of a table in it."""
        values = self.table(within) if within else self.manifest
        value = values.get(key)
        return value if is_number(value) else None

    def table(self, key: str) -> Mapping[str, Any]:
        """A table of the manifest; empty if there is none."""
        value = self.manifest.get(key)
        return value if isinstance(value, dict) else {}

    def shards(self, split: str) -> list[tuple[str, int]]:
        """Name and tokens of each shard of a split."""
        rows = self.manifest.get("shards")
        return [
            (str(row["name"]), int(row["tokens"]))
            for row in (rows if isinstance(rows, list) else ())
            if isinstance(row, dict)
            and row.get("split") == split
            and isinstance(row.get("name"), str)
            and is_number(row.get("tokens"))
        ]

    @property
    def bytes_per_token(self) -> float | None:
        """Of the training split: how much text a token stands for."""
        tokens, size = self.number("train_tokens"), self.number("train_bytes")
        return size / tokens if tokens and size else None


@dataclass(frozen=True)
class Window:
    """Tokens from somewhere in a corpus."""

    corpus: Path
    split: str
    shard: str
    place: int
    """Of the first token in its shard."""
    ids: tuple[int, ...]

    def parts(self, end_of_text: float | None) -> list[tuple[int, ...]]:
        """The ids between ends of documents."""
        parts: list[list[int]] = [[]]
        for token in self.ids:
            if token == end_of_text:
                parts.append([])
            else:
                parts[-1].append(token)
        return [tuple(part) for part in parts]


def read_corpora(folder: Path) -> list[CorpusSummary]:
    """The corpora of a folder, by name; what cannot be read says why."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return []
    paths = (folder / name for name in names if not name.startswith("."))
    return [_read(path) for path in paths if (path / MANIFEST).exists()]


def _read(path: Path) -> CorpusSummary:
    manifest = read_json(path / MANIFEST)
    version = manifest.get("format_version")
    if not manifest:
        return CorpusSummary(path.name, path, _("{file} is not a JSON object", file=MANIFEST))
    if not is_number(version) or version > FORMAT_VERSION:
        return CorpusSummary(
            path.name,
            path,
            _(
                "format version {version!r}; this kgpt reads {known}",
                version=version,
                known=FORMAT_VERSION,
            ),
        )
    return CorpusSummary(path.name, path, "", manifest)


def random_window(corpus: CorpusSummary, split: str, length: int, chance: random.Random) -> Window:
    """`length` tokens (or all there are) from a random place: every place of the split is as likely.

    Raises:
        KgptError: the split is empty, or a shard is not what the manifest says.
    """
    shards = [(name, tokens) for name, tokens in corpus.shards(split) if tokens > 0]
    if not shards:
        raise KgptError(
            _("Nothing to show"),
            _("{name} has no {split} tokens.", name=corpus.name, split=_(split)),
            _("Choose the other split."),
        )
    ((name, tokens),) = chance.choices(shards, weights=[tokens for _shard, tokens in shards])
    place = chance.randrange(max(1, tokens - length + 1))
    return Window(corpus.path, split, name, place, _ids(corpus, name, place, min(length, tokens)))


def _ids(corpus: CorpusSummary, name: str, place: int, length: int) -> tuple[int, ...]:
    values = array(TYPES.get(str(corpus.manifest.get("dtype")), "H"))
    try:
        with open(corpus.path / name, "rb") as file:
            file.seek(place * values.itemsize)
            values.frombytes(file.read(length * values.itemsize))
    except (OSError, ValueError) as error:
        raise _damaged(corpus, name, str(error)) from None
    if len(values) != length:
        raise _damaged(corpus, name, _("it is shorter than the manifest says"))
    if sys.byteorder == "big":
        values.byteswap()
    return tuple(values)


def _damaged(corpus: CorpusSummary, name: str, reason: str) -> KgptError:
    return KgptError(
        _("Damaged corpus"),
        f"{corpus.path / name}: {reason}",
        _("Prepare it again: kgpt prepare ... --overwrite"),
    )
