"""A tokenizer for parts that are prepared apart, trained on a sample of the whole.

In: sources and options. Out: a `Tokenizer`. The sample is itself a part: of many, one that is as large as asked,
prepared as bytes. A part's documents are drawn by their text, so it is like the whole, and its training split lies
inside that of the corpus.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from kgpt.language import _
from kgpt.text.prepare import Progress, prepare
from kgpt.text.prepare_options import PrepareOptions
from kgpt.text.shards import Corpus
from kgpt.text.tokenizer import Tokenizer

MEGABYTE = 1_000_000
UNKNOWN_BYTES = 1 << 34
"""What a source counts for whose size is not known."""
WINDOW = 1 << 20
"""Bytes of the sample that are taken or left together."""


def train_on_sample(
    sources: Sequence[str | Path],
    described: Sequence[dict[str, Any]],
    folder: Path,
    options: PrepareOptions,
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Tokenizer:
    """Train the tokenizer that `options` ask for.

    Args:
        sources: as for `prepare`.
        described: what they consist of, with sizes.
        folder: where the sample may lie.
        options: of the corpus; `tokenizer_sample` says how large the sample is.
        report: is told what happens, a line at a time.
        progress: is told how far the reading is.

    Raises:
        KgptError: a source or an option is not as it must be.
        KgptFailure: the disk is full or cannot be written.
    """
    _train((), options)  # says at once what is wrong with the options
    report(_("Drawing a sample to train a tokenizer on"))
    wanted = options.tokenizer_sample and options.tokenizer_sample * MEGABYTE
    total = sum(item["bytes"] or UNKNOWN_BYTES for item in described)
    count = max(1, total // wanted) if wanted else 1
    names = {field.name for field in fields(options)} - {"tokenizer", "shard", "weights"}
    same = {name: getattr(options, name) for name in sorted(names)}
    while True:
        sample = prepare(
            sources,
            folder,
            tokenizer=Tokenizer.bytes(),
            shard=(1, count),
            overwrite=True,
            progress=progress,
            **same,
        )
        # Where documents are few and large, one part of many may have none of them.
        if count == 1 or sample.train_bytes >= (wanted or 0) / 2:
            break
        count = max(1, count // 4)
    report(
        _(
            "Training a tokenizer with {vocabulary_size} ids",
            vocabulary_size=options.vocabulary_size,
        )
    )
    tokenizer = _train(_texts(sample, wanted), options)
    if tokenizer.vocabulary_size < options.vocabulary_size:
        size = tokenizer.vocabulary_size
        report(
            _("The sample supports no more than {size} ids: no other pair occurs twice", size=size)
        )
    return tokenizer


def _train(texts: Iterator[str] | tuple[()], options: PrepareOptions) -> Tokenizer:
    return Tokenizer.train(
        texts,
        options.vocabulary_size,
        pre_tokenization=options.pre_tokenization,
        special_tokens=options.special_tokens,
    )


def _texts(sample: Corpus, most_bytes: int | None) -> Iterator[str]:
    """The documents of the training split; of a sample larger than asked, windows at even distances."""
    tokens, end = sample.tokens("train"), sample.manifest["end_of_text"]
    stride = WINDOW * (max(1, round(len(tokens) / most_bytes)) if most_bytes else 1)
    for start in range(0, len(tokens), stride):
        window = tokens.window(start, min(WINDOW, len(tokens) - start))
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        for document in np.split(window, np.flatnonzero(window == end) + 1):
            content = document[document != end].astype(np.uint8).tobytes()
            yield decoder.decode(content)
