"""From sources to a prepared corpus.

In: what `kgpt prepare` is given. Out: a `Corpus`. Four stages, each a module: `gathering` reads and cleans everything
once, `sorting_out` decides what becomes of each document, `learning` makes the tokenizer, `encoding` writes the shards.
All of it happens in a `workspace` beside the output: an interrupted call goes on there, and the corpus appears whole.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from kgpt.errors import KgptError
from kgpt.files import read_json
from kgpt.language import N_, _
from kgpt.runs import data_folder
from kgpt.text.chunks import Chunk
from kgpt.text.encoding import Counts, encode
from kgpt.text.gathering import Gathered, gather
from kgpt.text.learning import compression, training_texts
from kgpt.text.parallel import Workers, available_cores
from kgpt.text.prepare_options import PrepareOptions, source_weights
from kgpt.text.shard_writer import write_manifest
from kgpt.text.shards import Corpus
from kgpt.text.sorting_out import Verdict, sort_out
from kgpt.text.sources import ReadOptions, Source, describe_sources, expand_sources
from kgpt.text.split import too_little
from kgpt.text.tokenizer import Tokenizer, find_tokenizer
from kgpt.text.workspace import Workspace, check_replaceable, opened, work_folder

SMALL_CORPUS = 1 << 24
"""Bytes of sources below which one process is quicker than starting others."""


READING: Final = "reading"
WRITING: Final = "writing tokens"
STAGES = (N_("reading"), N_("writing tokens"))
"""Names of stages, for programs; people see them translated."""


@dataclass(frozen=True)
class Progress:
    """How far a call has come."""

    stage: Literal["reading", "tokenizer", "writing tokens"]
    bytes_done: int
    """While reading, of the sources as they are, packed or not; then of text."""
    bytes_total: int | None
    """None where it is not known, as of a data set that does not say."""
    documents: int
    tokens: int
    seconds: float
    """Since the stage began."""


def prepare(
    sources: Sequence[str | Path],
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda progress: None,
    **options: Any,
) -> Corpus:
    """Prepare `sources`; go on with an equal call that was interrupted, or open what one prepared before.

    Args:
        sources: as `kgpt.text.sources.expand_sources`.
        output: a path, or a name in the data folder; by default named for the first source.
        overwrite: replace data that was prepared from other sources or with other options.
        report: is told what happens, a line at a time.
        progress: is told how far it is, many times a second.
        options: the fields of `PrepareOptions`.

    Raises:
        KgptError: a source, an option or the output is not as it must be.
        KgptFailure: the disk is full or cannot be written. What is done already is kept.
    """
    given = PrepareOptions(**options)
    if isinstance(given.tokenizer, str | Path):
        given = replace(given, tokenizer=find_tokenizer(given.tokenizer))
    folder = output_folder(sources, output)
    known = known_sources(folder)
    found = expand_sources(sources, report)
    described = describe_sources(found, known)
    plan = {"sources": described, "options": given.identity()}
    if is_current(folder, plan, overwrite):
        report(_("Nothing has changed: {folder} is up to date.", folder=folder))
        return Corpus.open(folder)
    with opened(folder, plan) as workspace:
        preparation = _Preparation(workspace, found, described, given, report, progress)
        with preparation.workers:
            preparation.run()
    return Corpus.open(folder)


def output_folder(sources: Sequence[str | Path], output: str | Path | None) -> Path:
    """Where the corpus goes: a path as it is, a bare name into the data folder, nothing named for the first source."""
    if output is not None:
        is_path = os.sep in str(output) or str(output) in (os.curdir, os.pardir)
        return Path(output) if is_path else data_folder() / output
    first = Path(str(sources[0]).replace(":", "-")) if sources else Path("corpus")
    while glob.has_magic(first.name):
        first = first.parent
    return data_folder() / (first.resolve().stem or "corpus")


class _Preparation:
    """One call at work."""

    def __init__(
        self,
        workspace: Workspace,
        sources: list[Source],
        described: list[dict[str, Any]],
        options: PrepareOptions,
        report: Callable[[str], None],
        progress: Callable[[Progress], None],
    ) -> None:
        self.workspace, self.sources, self.described = workspace, sources, described
        self.options, self.report, self.progress = options, report, progress
        size = sum(item["bytes"] or SMALL_CORPUS for item in described)
        count = options.workers or (1 if size < SMALL_CORPUS else available_cores())
        self.workers = Workers(count)
        self.started = self.stage_started = time.monotonic()

    def run(self) -> None:
        """All stages."""
        weights = source_weights(self.sources, self.options.weights)
        gathered = self._gather()
        if self.options.shard is None:
            gathered.check_something_is_left()
        chunks = [Chunk(self.workspace.chunk(index)) for index in range(gathered.chunks)]
        verdict = sort_out(
            chunks,
            self.workspace.scratch,
            dedupe=self.options.dedupe,
            weights=weights,
            validation=self.options.validation,
            validation_fraction=self.options.validation_fraction,
            seed=self.options.seed,
            is_part=self.options.shard is not None,
        )
        tokenizer = self._tokenizer(chunks, verdict)
        self._begin(_(WRITING).capitalize())
        shards, counts = encode(
            self.workspace,
            chunks,
            verdict,
            tokenizer,
            self.workers,
            on_progress=lambda counts: self._tell_writing(counts, verdict.bytes_to_write),
        )
        if not all(counts.tokens.values()) and self.options.shard is None:
            raise too_little(_("There is hardly any"))
        write_manifest(
            self.workspace.corpus,
            tokenizer,
            shards,
            {"train": counts.bytes["train"], "validation": counts.bytes["validation"]},
            verdict.kept,
            counts={
                "read": gathered.read,
                "dropped": dict(gathered.dropped),
                "duplicates": verdict.duplicates,
                "removed_duplicates": verdict.removed,
                "kept": verdict.kept,
                "validation": counts.documents["validation"],
            },
            cleaning=gathered.cleaning(self.options.clean),
            skipped=dict(gathered.skipped),
            compression=compression(chunks, verdict, tokenizer),
            sources=self.described,
            options=self.options.identity(),
        )
        self.workspace.publish()

    def _gather(self) -> Gathered:
        self._begin(_(READING).capitalize())
        options = self.options
        reading = ReadOptions(
            documents=options.documents,
            text_field=options.text_field,
            on_error=options.on_error,
            seed=options.seed,
            mend_encoding="encoding" in options.clean,
            allow_nul="control" in options.clean,
        )
        return gather(
            self.workspace,
            self.sources,
            reading,
            options.clean,
            options.dedupe == "near",
            self.workers,
            options.shard,
            self._tell_reading,
        )

    def _tokenizer(self, chunks: list[Chunk], verdict: Verdict) -> Tokenizer:
        options, folder = self.options, self.workspace.corpus / "tokenizer"
        if isinstance(options.tokenizer, Tokenizer):
            options.tokenizer.save(folder)
            return options.tokenizer
        if (folder / "tokenizer.json").is_file():  # the last one that is written
            return Tokenizer.load(folder)
        self._begin(
            _(
                "Training a tokenizer with {vocabulary_size} ids",
                vocabulary_size=options.vocabulary_size,
            )
        )
        sample = options.tokenizer_sample
        texts = training_texts(chunks, verdict, sample and sample * 1_000_000)
        tokenizer = Tokenizer.train(
            texts,
            options.vocabulary_size,
            pre_tokenization=options.pre_tokenization,
            special_tokens=options.special_tokens,
        )
        if tokenizer.vocabulary_size < options.vocabulary_size:
            self.report(
                _(
                    "The text supports no more than {vocabulary_size} ids: no other "
                    "pair occurs twice",
                    vocabulary_size=tokenizer.vocabulary_size,
                )
            )
        tokenizer.save(folder)
        return tokenizer

    def _begin(self, stage: str) -> None:
        self.report(stage)
        self.stage_started = time.monotonic()

    def _tell_reading(self, gathered: Gathered) -> None:
        """How far the files are read: the work of the last few chunks is still under way then."""
        sizes = [item["bytes"] for item in self.described]
        done = sum(sizes[number] or 0 for number in gathered.begun[:-1]) + gathered.position.bytes
        wanted = [sizes[number] for number in gathered.sources]
        total = sum(wanted) if all(wanted) else None
        self._tell(READING, done, total, gathered.read, 0)

    def _tell_writing(self, counts: Counts, total: int) -> None:
        done, tokens = sum(counts.bytes.values()), sum(counts.tokens.values())
        self._tell(WRITING, done, total, sum(counts.documents.values()), tokens)

    def _tell(
        self,
        stage: Literal["reading", "tokenizer", "writing tokens"],
        done: int,
        total: int | None,
        documents: int,
        tokens: int,
    ) -> None:
        seconds = time.monotonic() - self.stage_started
        self.progress(Progress(stage, done, total, documents, tokens, seconds))


# === What was prepared before ===


def known_sources(folder: Path) -> list[dict[str, Any]]:
    """Sources whose checksums an earlier call wrote down."""
    plans = (folder / "manifest.json", work_folder(folder) / "plan.json")
    return [item for plan in plans for item in read_json(plan).get("sources", [])]


def is_current(folder: Path, plan: Mapping[str, Any], overwrite: bool) -> bool:
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
    changes = _changes(manifest, plan["sources"], plan["options"])
    if changes and not overwrite:
        raise KgptError(
            _("Output exists"),
            _(
                "{folder} was prepared otherwise: {changes}.",
                folder=folder,
                changes="; ".join(changes),
            ),
            _("Replace it with --overwrite, or choose another --output."),
        )
    return not changes


def _changes(
    manifest: Mapping[str, Any], sources: list[dict[str, Any]], options: Mapping[str, Any]
) -> list[str]:
    # Data from before an option was there was prepared with what is its default now.
    before = {**PrepareOptions(tokenizer=None).identity(), **manifest.get("options", {})}
    changes = [
        _(
            "{option} was {before}, is {now}",
            option=name.replace("_", " "),
            before=before.get(name),
            now=value,
        )
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
            _("the text has changed: ") + (", ".join(dict.fromkeys(names)) or _("other order"))
        )
    return changes
