"""What `kgpt prepare` can be told, checked.

In: the options as a caller gives them. Out: `PrepareOptions`, and from it what the result depends on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.sorting_out import MOST_COPIES, DedupeOption
from kgpt.text.sources import DocumentsOption, Source
from kgpt.text.split import ValidationOption
from kgpt.text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How text is prepared. Equal sources and options give equal files, whatever the number of workers."""

    vocabulary_size: int = 4096
    """Of the tokenizer to train; ignored with `tokenizer`."""
    tokenizer: str | Path | Tokenizer | None = None
    """One to use instead: itself, `bytes`, `gpt2`, or where it lies."""
    pre_tokenization: str = "gpt2"
    """How the tokenizer to train cuts text into words: a name in `kgpt.text.pretokenization`."""
    special_tokens: Sequence[str] = ()
    """Of the tokenizer to train, beside the end of text: names in `kgpt.text.special_tokens`, or `<|literal|>`s."""
    tokenizer_sample: int | None = 256
    """Megabytes of the training split that the tokenizer is trained on; None for all."""
    documents: DocumentsOption = "file"
    """What a document is in a text file."""
    text_field: str | None = None
    """Name of the field or column that holds the text."""
    on_error: Literal["stop", "skip"] = "stop"
    """Whether damaged rows and files end the work, or are passed over and counted."""
    clean: Sequence[str] = ()
    """Cleaning steps in their order (`kgpt.text.cleaning`)."""
    dedupe: DedupeOption = "off"
    """Which copies of documents are left out."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often documents of a source are trained on; a source is named as it was given, or by its file's name."""
    validation: ValidationOption = "random"
    """Whole documents, drawn at random or from the tail. A corpus of one document is cut at its tail."""
    validation_fraction: float = 0.05
    """Share of the bytes to hold out; whole documents may miss it."""
    shard: tuple[int, int] | None = None
    """(i, n): prepare the i-th of n parts, for `kgpt.text.joining`."""
    seed: int = 1
    """Of the draws, and of the encyclopedia's phrasings."""
    workers: int | None = None
    """Processes; by default one for each core, or one where there is little text."""

    def __post_init__(self) -> None:
        """Check what the types cannot say."""
        if not 0 < self.validation_fraction < 1:
            raise KgptError(
                _("Bad validation fraction"),
                _(
                    "Expected a share above 0 and below 1. Received: {validation_fraction}",
                    validation_fraction=self.validation_fraction,
                ),
                _("For example: --validation-fraction 0.1"),
            )
        for name, value in (("workers", self.workers), ("tokenizer_sample", self.tokenizer_sample)):
            if value is not None and value < 1:
                raise KgptError(
                    _("Bad {name}", name=name),
                    _("Expected 1 or more. Received: {value}", value=value),
                    _("Give more."),
                )
        if self.shard is not None:
            self._check_shard(*self.shard)

    def _check_shard(self, index: int, count: int) -> None:
        if not 1 <= index <= count:
            raise KgptError(
                _("Bad shard"),
                _(
                    "Expected I/N with I from 1 to N. Received: {index}/{count}",
                    index=index,
                    count=count,
                ),
                _("For example: --shard 1/8"),
            )
        if self.tokenizer is None:
            raise KgptError(
                _("A shard needs a tokenizer"),
                _(
                    "The parts of a corpus must have the same tokenizer, so one part cannot train its "
                    "own."
                ),
                _("Train one on a sample first, then give it to every part with --tokenizer."),
            )
        if self.validation == "tail":
            raise KgptError(
                _("A shard has no tail"),
                _("The last documents of a part are not the last ones of the corpus."),
                _("Use --validation random."),
            )

    def identity(self) -> dict[str, Any]:
        """What the result depends on, as the manifest keeps it."""
        given = self.tokenizer
        if not isinstance(given, Tokenizer | None):
            raise TypeError("the tokenizer has not been looked up")
        identity = {
            "documents": self.documents,
            "validation": self.validation,
            "validation_fraction": self.validation_fraction,
            "seed": self.seed,
            "tokenizer": given.sha256 if given else "trained",
            "vocabulary_size": given.vocabulary_size if given else self.vocabulary_size,
            "text_field": self.text_field,
            "on_error": self.on_error,
            "clean": list(self.clean),
            "dedupe": self.dedupe,
            "weights": dict(self.weights),
            "shard": list(self.shard) if self.shard else None,
        }
        if given is None:
            identity |= {
                "pre_tokenization": self.pre_tokenization,
                "special_tokens": list(self.special_tokens),
                "tokenizer_sample": self.tokenizer_sample,
            }
        return identity


def source_weights(sources: Sequence[Source], given: Mapping[str, float]) -> list[float]:
    """The weight of each source.

    Raises:
        KgptError: a weight is out of range, or is for no source.
    """
    weights = [1.0] * len(sources)
    for name, weight in given.items():
        if not 0 < weight <= MOST_COPIES:
            raise KgptError(
                _("Bad weight"),
                _(
                    "Expected a number above 0, {most_copies} at most, for {name}. Received: {weight}",
                    most_copies=MOST_COPIES,
                    name=name,
                    weight=weight,
                ),
                _("To leave a source out, do not name it."),
            )
        meant = [index for index, source in enumerate(sources) if _is_called(source, name)]
        if not meant:
            raise KgptError(
                _("No such source"),
                _(
                    "--weight {name}={weight:g} is for none of {count} sources.",
                    name=name,
                    weight=weight,
                    count=len(sources),
                ),
                _("Name one as it was given, or a file, such as {name}.", name=sources[0].name),
            )
        for index in meant:
            weights[index] = weight
    return weights


def _is_called(source: Source, name: str) -> bool:
    """Whether a user may mean `source` by `name`: as it is shown, its file's name, a folder above it, or a pattern."""
    shown = Path(source.name)
    return name in (source.name, shown.name) or Path(name) in shown.parents or fnmatch(shown, name)
