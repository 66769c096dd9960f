"""Encoding speed of kgpt's tokenizer beside tiktoken and Hugging Face's, on the built-in corpus, one vocabulary.

Prints MB/s (median of five) of each and kgpt's share of the peers'; and checks that all give the same ids. kgpt runs in
one process on one core: first with nothing remembered from earlier text, then, on the same text again, with all of it.
A large corpus lies between the two, and nearer to the second the longer it is.

`python -m benchmarks.tokenizing FILE [TOKENIZER]` measures on a file of your own, with a tokenizer of your own.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROUNDS = 5
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""As tiktoken writes it, for its own speed."""


def main(file: str | None = None, name: str | None = None) -> None:
    """Measure and print."""
    from kgpt.text import encyclopedia
    from kgpt.text.pieces import pieces
    from kgpt.text.tokenizer import Tokenizer, find_tokenizer

    text = Path(file).read_text(encoding="utf-8") if file else None
    texts = list(encyclopedia.documents()) if text is None else list(pieces(text))
    ours = find_tokenizer(name) if name else Tokenizer.train(texts, 4096)
    encoders = {"kgpt, text it has met": ours.encode_batch_bytes, **_peers(ours)}
    rates: dict[str, list[float]] = {"kgpt, new text": [], **{peer: [] for peer in encoders}}
    for _ in range(ROUNDS):
        fresh = Tokenizer(ours.vocabulary, ours.merges, ours.pre_tokenization)
        rates["kgpt, new text"].append(_rate(fresh.encode_batch_bytes, texts))
        for peer, encode in encoders.items():
            rates[peer].append(_rate(encode, texts))
    medians = {peer: statistics.median(values) for peer, values in rates.items()}
    for peer, rate in medians.items():
        shares = [medians[mine] / rate for mine in ("kgpt, new text", "kgpt, text it has met")]
        print(
            f"{peer:24} {rate:6.1f} MB/s   kgpt is {shares[0]:.2f} x (new), {shares[1]:.2f} x (met)"
        )
    expected = encoders["tiktoken, one thread"](texts)
    print(f"the same ids as tiktoken: {ours.encode_batch(texts) == expected}")


def _rate(encode: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> float:
    """MB/s."""
    size = sum(len(text.encode()) for text in texts)
    start = time.perf_counter()
    encode(texts)
    return size / (time.perf_counter() - start) / 1e6


def _peers(ours: Any) -> dict[str, Callable[[Sequence[str]], Any]]:
    """The same vocabulary in tiktoken, with its own spelling of GPT-2's pattern, and in `tokenizers`."""
    import tiktoken
    from tokenizers import Tokenizer as HuggingFace

    from kgpt.text.pretokenization import GPT2, PRE_TOKENIZATIONS

    special = set(ours.special_tokens)
    ranks = {
        ours.token_bytes(token): token
        for name, token in ours.vocabulary.items()
        if name not in special
    }
    rule = ours.pre_tokenization
    pattern = GPT2_PATTERN if rule == GPT2.name else PRE_TOKENIZATIONS[rule].pattern
    peer = tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    with tempfile.TemporaryDirectory() as folder:
        ours.save(folder)
        theirs = HuggingFace.from_file(str(Path(folder) / "tokenizer.json"))
    return {
        "tiktoken, one thread": lambda batch: peer.encode_ordinary_batch(batch, num_threads=1),
        "tiktoken, two threads": lambda batch: peer.encode_ordinary_batch(batch, num_threads=2),
        "Hugging Face tokenizers": lambda batch: theirs.encode_batch(batch),
    }


if __name__ == "__main__":
    main(*sys.argv[1:3])
