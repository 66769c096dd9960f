"""Encoding speed of kgpt's tokenizer beside tiktoken and Hugging Face's, on the built-in corpus, one vocabulary.

Prints MB/s (median of five) of each and kgpt's share of the peers'; and checks that all three give the same ids.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


def main() -> None:
    """Measure and print."""
    import tiktoken
    from tokenizers import Tokenizer as HuggingFace

    from kgpt.text import encyclopedia
    from kgpt.text.tokenizer import Tokenizer

    texts = list(encyclopedia.documents())
    size = sum(len(text.encode()) for text in texts)
    ours = Tokenizer.train(texts, 4096)
    theirs = HuggingFace.from_str(_definition(ours))
    ranks = {ours.token_bytes(index): index for index in range(ours.vocabulary_size - 1)}
    peer = tiktoken.Encoding("ours", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})
    encoders: dict[str, Callable[[Sequence[str]], Any]] = {
        "kgpt": ours.encode_batch,
        "Hugging Face tokenizers": lambda batch: theirs.encode_batch(batch),
        "tiktoken, two threads": lambda batch: peer.encode_ordinary_batch(batch, num_threads=2),
    }
    rates = {name: [] for name in encoders}  # type: dict[str, list[float]]
    for _ in range(5):
        for name, encode in encoders.items():
            start = time.perf_counter()
            encode(texts)
            rates[name].append(size / (time.perf_counter() - start) / 1e6)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    same = [ours.encode(text) for text in texts[:500]] == peer.encode_ordinary_batch(texts[:500])
    for name, rate in medians.items():
        print(f"{name:26} {rate:6.1f} MB/s   kgpt is {medians['kgpt'] / rate:.2f} x")
    print(f"the same ids as tiktoken on 500 documents: {same}")


def _definition(tokenizer: Any) -> str:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        return (Path(folder) / "tokenizer.json").read_text(encoding="utf-8")
