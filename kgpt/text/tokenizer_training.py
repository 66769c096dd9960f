"""Learning a vocabulary: the merges of the pairs that are most frequent in a text.

In: texts, the number of ids, and how text is cut into words. Out: the vocabulary, laid out as GPT-2's, and its merges.
`tokenizers` (Rust) counts and merges, on all cores. It is given words that are cut and spelled in byte symbols already,
so that it splits at blanks where it would match a regular expression.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice

import numpy as np
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers

from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.text.byte_symbols import BYTE_SYMBOLS, spelled_words
from kgpt.text.encoder import Encoder
from kgpt.text.pieces import pieces, reject_surrogates
from kgpt.text.pretokenization import PreTokenization

MOST_TOKENS = 1 << 17
"""The largest vocabulary that is trained."""


def learn(
    texts: Iterable[str], vocabulary_size: int, rule: PreTokenization, special: Sequence[str]
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Token to id, and the pairs to merge in their order; the ids of the `special` tokens are the last ones.

    Raises:
        KgptError: the size leaves no room for bytes and special tokens, or is too large, or a text holds a lone
            surrogate.
    """
    _check_size(vocabulary_size, len(special))
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size - len(special),
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(BYTE_SYMBOLS),
    )
    backend.train_from_iterator(_batches(texts, rule), trainer)
    model = json.loads(backend.to_str())["model"]
    vocabulary = model["vocab"]
    merges = [(left, right) for left, right in model["merges"]]
    ids = {token: len(vocabulary) + index for index, token in enumerate(special)}
    return {**vocabulary, **ids}, merges


def _check_size(vocabulary_size: int, special: int) -> None:
    least = 256 + special
    if vocabulary_size < least:
        tokens = (
            _("the end of text") if special == 1 else _("{special} special tokens", special=special)
        )
        raise KgptError(
            _("Vocabulary too small"),
            _(
                "Expected at least {least} (256 bytes and {tokens}). Received: {vocabulary_size}",
                least=least,
                tokens=tokens,
                vocabulary_size=vocabulary_size,
            ),
            _("For text as bytes use --tokenizer bytes."),
        )
    if vocabulary_size > MOST_TOKENS:
        raise KgptError(
            _("Vocabulary too large"),
            _(
                "Expected at most {most_tokens:,} ids. Received: {vocabulary_size:,}",
                most_tokens=MOST_TOKENS,
                vocabulary_size=vocabulary_size,
            ),
            _("8,192 to 65,536 are usual."),
        )


def _batches(texts: Iterable[str], rule: PreTokenization) -> Iterator[list[str]]:
    """The texts in pieces, their words spelled in byte symbols, each with a blank after it.

    An `Encoder` does it, to which the "ids" of a word are the characters of its spelling: it remembers what it has met.
    """
    speller = Encoder(_spelling, rule, np.dtype("<u2"))
    parts = (piece for text in texts for piece in pieces(text))
    while batch := list(islice(parts, 256)):
        for part in batch:
            reject_surrogates(part)
        characters, counts = speller.encode(batch)
        spelled = characters.tobytes().decode("utf-16-le")
        ends = accumulate(counts)
        yield [spelled[end - count : end] for end, count in zip(ends, counts, strict=True)]


def _spelling(words: Sequence[str]) -> Iterator[list[int]]:
    for word in spelled_words(words):
        yield [*map(ord, word), ord(" ")]
