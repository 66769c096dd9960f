"""The parts of a corpus become one.

In: folders that `prepare(..., shard=(i, n))` made, all n of them, in any order. Out: one corpus, with the shards in the
parts' order. Shards are hard-linked where the file system can do that, else copied; every checksum is compared first.
"""

from __future__ import annotations

import functools
import hashlib
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import written_aside
from kgpt.language import _
from kgpt.text.gathering import parts_have_whole_sources
from kgpt.text.prepare import output_folder
from kgpt.text.shard_writer import State, write_manifest
from kgpt.text.shards import SPLITS, Corpus, Split
from kgpt.text.workspace import check_replaceable

_BLOCK = 1 << 20


@dataclass(frozen=True)
class _Part:
    """A corpus that is one part of a larger one."""

    corpus: Corpus
    index: int
    """From 1 on."""
    count: int
    """Of all parts."""

    def __str__(self) -> str:
        return f"{self.corpus.folder} (part {self.index}/{self.count})"

    @property
    def options(self) -> dict[str, Any]:
        """What it was prepared with, beside which part it is."""
        return {**self.corpus.manifest["options"], "shard": None}

    @property
    def sources(self) -> list[str]:
        """Checksums of the sources of the whole corpus."""
        return [item["sha256"] for item in self.corpus.manifest["sources"]]

    @property
    def sha256(self) -> str:
        """Of its manifest, which has the checksums of its shards: equal ones are of equal parts."""
        content = (self.corpus.folder / "manifest.json").read_bytes()
        return hashlib.sha256(content).hexdigest()


def join(
    parts: Sequence[str | Path],
    output: str | Path,
    *,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    options: Mapping[str, Any] | None = None,
) -> Corpus:
    """Join the parts of a corpus; open what the same parts were joined to before.

    Args:
        parts: their folders, or names in the data folder.
        output: a path, or a name in the data folder.
        overwrite: replace prepared data that is there.
        report: is told what happens, a line at a time.
        options: what the manifest names as the options of the whole; by default those that the parts have in common.

    Raises:
        KgptError: a part is missing, given twice, damaged, or of another corpus; all text is on one side of the split;
            or the output exists.
        KgptFailure: the disk is full or cannot be written, or a part cannot be read.
    """
    folder = output_folder([], output)
    found = _in_order([_open(part) for part in parts])
    _check_sides(found)
    if _is_current(folder, found, overwrite):
        report(_("Nothing has changed: {folder} is up to date.", folder=folder))
        return Corpus.open(folder)
    report(f"Joining {len(found)} parts")
    tokenizer = found[0].corpus.tokenizer
    with written_aside(folder) as aside:
        tokenizer.save(aside / "tokenizer")
        write_manifest(
            aside,
            tokenizer,
            _join_shards(found, aside),
            {split: sum(_bytes(part, split) for part in found) for split in SPLITS},
            sum(part.corpus.documents for part in found),
            counts=_total(part.corpus.manifest["counts"] for part in found),
            cleaning=_total(part.corpus.manifest["cleaning"] for part in found),
            skipped=_skipped(found),
            compression=_compression(found),
            sources=found[0].corpus.manifest["sources"],
            options=dict(found[0].options if options is None else options),
            parts=[part.sha256 for part in found],
        )
    return Corpus.open(folder)


# === Whether they belong together ===


def _open(folder: str | Path) -> _Part:
    corpus = Corpus.open(folder)
    shard = corpus.manifest.get("options", {}).get("shard")
    if not shard:
        raise KgptError(
            _("Not a part"),
            _("{folder} is a whole corpus, and no part of one.", folder=corpus.folder),
            _("Prepare parts with --shard 1/N to N/N, then join their folders."),
        )
    return _Part(corpus, *shard)


def _in_order(parts: list[_Part]) -> list[_Part]:
    """The parts from the first to the last; raises unless all are there once, and of one corpus."""
    if not parts:
        raise KgptError(
            _("No parts"), _("Expected the folders of all parts."), _("Give them to --join.")
        )
    first = parts[0]
    for part in parts[1:]:
        difference = _difference(first, part)
        if difference:
            raise KgptError(
                _("Parts of different corpora"),
                _(
                    "{first} and {part} do not belong together: {difference}.",
                    first=first,
                    part=part,
                    difference=difference,
                ),
                _(
                    "Prepare all parts from the same sources with the same options; only I of --shard "
                    "I/N differs."
                ),
            )
    by_index: dict[int, _Part] = {}
    for part in parts:
        other = by_index.setdefault(part.index, part)
        if other is not part:
            raise KgptError(
                _("A part twice"),
                _(
                    "Part {index}/{count} was given as {folder} and as {folder_2}.",
                    index=part.index,
                    count=part.count,
                    folder=other.corpus.folder,
                    folder_2=part.corpus.folder,
                ),
                _("Give each part once."),
            )
    missing = [str(index) for index in range(1, first.count + 1) if index not in by_index]
    if missing:
        raise KgptError(
            _("Parts are missing"),
            _(
                "Expected {count} parts. Received: {other}, without {missing}",
                count=first.count,
                other=len(parts),
                missing=", ".join(missing),
            ),
            _(
                "Prepare what is missing with --shard {missing}/{count}, or give its folder too.",
                missing=missing[0],
                count=first.count,
            ),
        )
    return [by_index[index] for index in sorted(by_index)]


def _difference(one: _Part, other: _Part) -> str:
    """What shows that two parts are of different corpora, or nothing."""
    if one.count != other.count:
        return _(
            "one is of {count} parts, the other of {other}", count=one.count, other=other.count
        )
    mine, theirs = (part.corpus.manifest["tokenizer_sha256"] for part in (one, other))
    if mine != theirs:
        return _("their tokenizers differ ({mine} and {theirs})", mine=mine[:8], theirs=theirs[:8])
    names = dict.fromkeys([*one.options, *other.options])
    differing = [
        f"{name.replace('_', ' ')} is {one.options.get(name)} and {other.options.get(name)}"
        for name in names
        if one.options.get(name) != other.options.get(name)
    ]
    if not differing and one.sources != other.sources:
        return _("they were prepared from different text, or from the same in another order")
    return "; ".join(differing)


def _check_sides(parts: Sequence[_Part]) -> None:
    for split in SPLITS:
        if not any(part.corpus.manifest[f"{split}_tokens"] for part in parts):
            raise KgptError(
                _("Too little text"),
                _(
                    "No document of {count} parts is on the {split} side: a part's documents are held "
                    "out one by one, by their text, so a corpus of few documents may have none.",
                    count=len(parts),
                    split=split,
                ),
                _("Prepare it without --shard, or choose another --validation-fraction or --seed."),
            )


# === What was joined before ===


def _is_current(folder: Path, parts: Sequence[_Part], overwrite: bool) -> bool:
    """Whether `folder` holds just these parts; raises where it may not be replaced either."""
    if any(_is_same(folder, part.corpus.folder) for part in parts):
        raise KgptError(
            _("Output is a part"),
            _("{folder} is one of the parts to join.", folder=folder),
            _("Choose another --output."),
        )
    if not (folder / "manifest.json").is_file():
        check_replaceable(folder, overwrite)
        return False
    try:
        joined = Corpus.open(folder).manifest.get("parts", [])
    except KgptError:
        if overwrite:
            return False
        raise
    now = [part.sha256 for part in parts]
    if now != joined and not overwrite:
        raise KgptError(
            _("Output exists"),
            _("{folder} is stale: {joined}.", folder=folder, joined=_staleness(joined, now)),
            _("Replace it with --overwrite, or choose another --output."),
        )
    return bool(now == joined)


def _staleness(joined: Sequence[str], now: Sequence[str]) -> str:
    if not joined:
        return _("it was not joined from parts")
    if len(joined) != len(now):
        return _(
            "it was joined from {count} parts, these are {other}",
            count=len(joined),
            other=len(now),
        )
    pairs = enumerate(zip(joined, now, strict=True), 1)
    changed = [f"{index}/{len(now)}" for index, (old, new) in pairs if old != new]
    return _("part {changed} has changed since", changed=", ".join(changed))


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


# === Shards ===


def _join_shards(parts: Sequence[_Part], folder: Path) -> State:
    """Link or copy all shards into `folder`, numbered anew."""
    joined: State = []
    for split in SPLITS:
        shards = [
            (part, shard)
            for part in parts
            for shard in part.corpus.manifest["shards"]
            if shard["split"] == split
        ]
        for number, (part, shard) in enumerate(shards):
            name = f"{split}-{number:05d}.bin"
            if _take(part.corpus.folder / shard["name"], folder / name) != shard["sha256"]:
                raise KgptError(
                    _("Damaged data"),
                    _("{part}: the content of {name} was changed.", part=part, name=shard["name"]),
                    _(
                        "Prepare it again with --shard {index}/{count} --overwrite.",
                        index=part.index,
                        count=part.count,
                    ),
                )
            joined.append({**shard, "name": name})
    return joined


def _take(source: Path, target: Path) -> str:
    """Bring a file to `target` without a copy if that can be; returns the sha256 of what is there now."""
    linked = False
    with suppress(OSError):  # another file system, or one without hard links
        os.link(source, target)
        linked = True
    digest = hashlib.sha256()
    if linked:
        for block in _blocks(target):
            digest.update(block)
        return digest.hexdigest()
    with open(target, "wb") as file:
        for block in _blocks(source):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _blocks(path: Path) -> Iterable[bytes]:
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise KgptFailure(
            _("Cannot read"), f"{path}: {error.strerror}.", _("Check the file and its permissions.")
        ) from error


# === Counts ===


def _bytes(part: _Part, split: Split) -> int:
    return int(part.corpus.manifest[f"{split}_bytes"])


def _total(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums of numbers with the same name, at any depth."""
    total: dict[str, Any] = {}
    for values in counts:
        for name, value in values.items():
            if isinstance(value, Mapping):
                total[name] = _total([total.get(name, {}), value])
            else:
                total[name] = total.get(name, 0) + value
    return total


def _skipped(parts: Sequence[_Part]) -> dict[str, int]:
    """Damaged rows and files by reason. Parts that are drawn from all sources each meet all the damage."""
    counts = [Counter(part.corpus.manifest["skipped"]) for part in parts]
    sources = len(parts[0].corpus.manifest["sources"])
    join = operator.add if parts_have_whole_sources(sources, len(parts)) else operator.or_
    return dict(functools.reduce(join, counts))


def _compression(parts: Sequence[_Part]) -> dict[str, Any]:
    """The parts' figures, each of which stands for all bytes of its part."""
    sizes = [sum(_bytes(part, split) for split in SPLITS) for part in parts]
    figures = [part.corpus.manifest["compression"] for part in parts]
    measured = [(size, values) for size, values in zip(sizes, figures, strict=True) if size]
    gpt2 = [(size, values["gpt2"]) for size, values in measured if values["gpt2"]]
    is_complete = len(gpt2) == len(measured)
    return {**_weighted(measured), "gpt2": _weighted(gpt2) if is_complete else None}


def _weighted(measured: Sequence[tuple[int, Mapping[str, float]]]) -> dict[str, float]:
    """Bytes a token and tokens a word of all bytes: sums of bytes, tokens and words, divided."""
    tokens = [size / figures["bytes_per_token"] for size, figures in measured]
    words = [
        count / figures["tokens_per_word"]
        for count, (_, figures) in zip(tokens, measured, strict=True)
    ]
    return {
        "bytes_per_token": sum(size for size, _ in measured) / max(1, sum(tokens)),
        "tokens_per_word": sum(tokens) / max(1, sum(words)),
    }
