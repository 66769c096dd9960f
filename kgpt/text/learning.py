"""A tokenizer for a corpus, and how well one compresses it.

In: chunks and what becomes of each document. Out: a `Tokenizer` learnt from the training split, or figures on a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kgpt.text.chunks import Chunk
from kgpt.text.gpt2_files import gpt2_tokenizer
from kgpt.text.sorting_out import LEFT_OUT, VALIDATION, Verdict
from kgpt.text.tokenizer import Tokenizer

COMPRESSION_SAMPLE = 1 << 19
"""Characters that compression is measured on."""


def training_texts(
    chunks: Sequence[Chunk], verdict: Verdict, most_bytes: int | None
) -> Iterator[str]:
    """Texts of the training split: all, or chunks spread evenly over the corpus that hold about `most_bytes`."""
    if verdict.train_share < 1:
        yield from _head(chunks, verdict.train_share)
        return
    total = sum(int(chunk.numbers("size").sum()) for chunk in chunks)
    share = 1.0 if most_bytes is None else min(1.0, most_bytes / max(1, total))
    for index in _spread(len(chunks), share):
        yield from _texts(chunks[index], verdict, index, train_only=True)


def compression(chunks: Sequence[Chunk], verdict: Verdict, tokenizer: Tokenizer) -> dict[str, Any]:
    """Bytes a token and tokens a word of `tokenizer`, and of GPT-2's where its files are, on the same sample.

    Words are what white space separates.
    """
    sample: list[str] = []
    size = 0
    total = sum(int(chunk.numbers("size").sum()) for chunk in chunks)
    for index in _spread(len(chunks), min(1.0, COMPRESSION_SAMPLE / max(1, total))):
        for text in _texts(chunks[index], verdict, index, train_only=False):
            sample.append(text[: COMPRESSION_SAMPLE - size])
            size += len(sample[-1])
            if size >= COMPRESSION_SAMPLE:
                break
    gpt2 = gpt2_tokenizer(download=False)
    return {
        **_compression(sample, tokenizer),
        "gpt2": None if gpt2 is None else _compression(sample, gpt2),
    }


def _compression(texts: Sequence[str], tokenizer: Tokenizer) -> dict[str, float]:
    tokens = sum(map(len, tokenizer.encode_batch_bytes(texts))) / tokenizer.dtype.itemsize
    return {
        "bytes_per_token": sum(len(text.encode()) for text in texts) / max(1, tokens),
        "tokens_per_word": tokens / max(1, sum(len(text.split()) for text in texts)),
    }


def _texts(chunk: Chunk, verdict: Verdict, index: int, train_only: bool) -> Iterator[str]:
    fates = verdict.of_chunk(index)
    document = 0
    for text, is_end in zip(chunk.texts(), chunk.numbers("ends_document"), strict=True):
        fate = fates[document]
        if fate != LEFT_OUT and not (train_only and fate == VALIDATION):
            yield text
        document += bool(is_end)


def _head(chunks: Sequence[Chunk], share: float) -> Iterator[str]:
    """The part of a single document that is trained on."""
    left = int(sum(sum(map(len, chunk.texts())) for chunk in chunks) * share)
    for chunk in chunks:
        for text in chunk.texts():
            yield text[:left]
            left -= min(left, len(text))


def _spread(count: int, share: float) -> Iterator[int]:
    """About `share` of the numbers below `count`, at even distances, one at least."""
    wanted = max(1, round(count * share))
    return (index * count // wanted for index in range(min(wanted, count)))
