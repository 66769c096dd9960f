"""From sources to a prepared corpus: split the documents, train or load a tokenizer, write the shards.

In: what `kgpt prepare` is given. Out: a `Corpus`. The documents are read once for the split, once to train a tokenizer
and once to encode, so that memory is bounded by the largest file and not by the corpus.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.runs import RUN_NAME, data_folder
from kgpt.text.folders import check_replaceable
from kgpt.text.shards import Corpus, Part, write_corpus
from kgpt.text.sources import DocumentsOption, describe_sources, read_documents
from kgpt.text.tokenizer import Tokenizer, find_tokenizer

ValidationOption = Literal["random", "tail"]
DEFAULT_VOCABULARY_SIZE = 4096
DEFAULT_VALIDATION_FRACTION = 0.05


def prepare(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    vocabulary_size: int = DEFAULT_VOCABULARY_SIZE,
    tokenizer: str | Path | Tokenizer | None = None,
    documents: DocumentsOption = "file",
    validation: ValidationOption = "random",
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    seed: int = 1,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Corpus:
    """Prepare `sources`, or open what an equal call prepared before.

    Args:
        sources: as `kgpt.text.sources.read_documents`.
        output: a path, or a name in the data folder; by default named for the first source.
        vocabulary_size: of the tokenizer to train on the training split; ignored with `tokenizer`.
        tokenizer: one to use instead: itself, `bytes`, or where it lies.
        documents: what a document is in a text file.
        validation: whole documents, drawn at `random` or from the `tail`. A corpus of one document is cut at its tail.
        validation_fraction: share of the bytes to hold out; whole documents may miss it.
        seed: of the draw, and of the encyclopedia's phrasings.
        overwrite: replace data that was prepared from other sources or with other options.
        report: is told what happens, a line at a time.

    Raises:
        KgptError: a source, an option or the output is not as it must be.
        KgptFailure: the disk is full or cannot be written.
    """
    if not 0 < validation_fraction < 1:
        raise KgptError(
            "Bad validation fraction",
            f"Expected a share above 0 and below 1. Received: {validation_fraction}",
            "For example: --validation-fraction 0.1",
        )
    described = describe_sources(sources)
    folder = output_folder(sources, output)
    given = find_tokenizer(tokenizer) if isinstance(tokenizer, (str, Path)) else tokenizer
    options = {
        "documents": documents,
        "validation": validation,
        "validation_fraction": validation_fraction,
        "seed": seed,
        "tokenizer": given.sha256 if given else "trained",
        "vocabulary_size": given.vocabulary_size if given else vocabulary_size,
    }
    if _is_current(folder, described, options, overwrite):
        report(f"Nothing has changed: {folder} is up to date.")
        return Corpus.open(folder)

    def read() -> Iterator[str]:
        return read_documents(sources, documents, seed)

    report("Reading and splitting")
    plan = _plan(read(), validation, validation_fraction, seed)
    if given is None:
        report(f"Training a tokenizer with {vocabulary_size} ids")
        training = (part.text for part in plan.parts(read()) if part.split == "train")
        given = Tokenizer.train(training, vocabulary_size)
        if given.vocabulary_size < vocabulary_size:
            report(
                f"The text supports no more than {given.vocabulary_size} ids: no other pair occurs twice"
            )

    def report_share(done: int) -> None:
        report(f"Writing tokens, {min(1.0, done / plan.total_bytes):.0%}")

    return write_corpus(
        folder,
        given,
        plan.parts(read()),
        sources=described,
        options=options,
        overwrite=overwrite,
        report=report_share,
    )


def output_folder(sources: Sequence[str | Path], output: str | Path | None) -> Path:
    """Where the corpus goes: a path as it is, a bare name into the data folder, nothing named for the first source."""
    if output is not None:
        return data_folder() / output if RUN_NAME.match(str(output)) else Path(output)
    first = Path(str(sources[0]).replace(":", "-"))
    while glob.has_magic(first.name):
        first = first.parent
    return data_folder() / (first.resolve().stem or "corpus")


def _is_current(
    folder: Path, sources: list[dict[str, Any]], options: dict[str, Any], overwrite: bool
) -> bool:
    """Whether `folder` holds just this; raises where it may not be replaced either."""
    if not (folder / "manifest.json").is_file():
        check_replaceable(folder, overwrite)
        return False
    try:
        manifest = Corpus.open(folder).manifest
    except KgptError:
        if overwrite:
            return False
        raise
    changes = _changes(manifest, sources, options)
    if changes and not overwrite:
        raise KgptError(
            "Output exists",
            f"{folder} was prepared otherwise: {'; '.join(changes)}.",
            "Replace it with --overwrite, or choose another --output.",
        )
    return not changes


def _changes(
    manifest: Mapping[str, Any], sources: list[dict[str, Any]], options: dict[str, Any]
) -> list[str]:
    before = manifest.get("options", {})
    changes = [
        f"{name.replace('_', ' ')} was {before.get(name)}, is {value}"
        for name, value in options.items()
        if before.get(name) != value
    ]
    old, new = (
        {item["sha256"]: item["source"] for item in items}
        for items in (manifest.get("sources", []), sources)
    )
    if list(old) != list(new):
        names = [
            *(new[key] for key in new if key not in old),
            *(old[key] for key in old if key not in new),
        ]
        changes.append(
            "the text has changed: " + (", ".join(dict.fromkeys(names)) or "other order")
        )
    return changes


# === The split ===


@dataclass(frozen=True)
class _Plan:
    """Which documents are held out, by a key of their content, so that equal documents are on one side."""

    validation: frozenset[bytes]
    total_bytes: int
    cut: float
    """Share of a single document that is for training; 0 for a corpus of many."""

    def parts(self, documents: Iterator[str]) -> Iterator[Part]:
        for text in documents:
            if self.cut:
                middle = int(len(text) * self.cut)
                if not middle:
                    raise _too_little(f"The only document has {len(text)} characters")
                yield Part("train", text[:middle], ends_document=False)
                yield Part("validation", text[middle:])
            else:
                yield Part("validation" if _key(text) in self.validation else "train", text)


def _plan(
    documents: Iterator[str], validation: ValidationOption, fraction: float, seed: int
) -> _Plan:
    keyed = [(_key(text), len(text.encode("utf-8", "replace"))) for text in documents]
    total = sum(size for _, size in keyed)
    if len(keyed) == 1:
        return _Plan(frozenset(), total, 1 - fraction)
    if len(set(keyed)) == 1:
        raise _too_little(f"All {len(keyed)} documents are equal")
    choose = _choose_tail if validation == "tail" else _choose_random
    return _Plan(frozenset(choose(keyed, fraction * total, seed)), total, 0)


def _choose_tail(keyed: list[tuple[bytes, int]], target: float, seed: int) -> set[bytes]:
    """The longest tail of at most `target` bytes, one document at least; never a copy of an earlier one."""
    start, size = len(keyed), 0
    while start > 1 and (size := size + keyed[start - 1][1]) <= target:
        start -= 1
    chosen: set[bytes] = set()
    while not chosen:
        start = min(start, len(keyed) - 1)
        chosen = {key for key, _ in keyed[start:]} - {key for key, _ in keyed[:start]}
        start -= 1
    return chosen


def _choose_random(keyed: list[tuple[bytes, int]], target: float, seed: int) -> set[bytes]:
    """Documents in a random order until they fill `target` bytes; the smallest one if none is that small."""
    sizes: dict[bytes, int] = {}
    for key, size in keyed:
        sizes[key] = sizes.get(key, 0) + size
    order = sorted(sizes, key=lambda key: hashlib.blake2b(key, salt=_salt(seed)).digest())
    chosen: set[bytes] = set()
    for key in order:
        if sizes[key] <= target:
            chosen.add(key)
            target -= sizes[key]
        elif chosen:
            break
    return chosen or {min(order, key=sizes.__getitem__)}


def _too_little(what: str) -> KgptError:
    return KgptError(
        "Too little text", f"{what}: none can be held out for validation.", "Give more."
    )


def _salt(seed: int) -> bytes:
    return hashlib.blake2b(str(seed).encode(), digest_size=16).digest()


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
