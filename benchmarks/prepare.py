"""`kgpt prepare` beside tiktoken and Hugging Face's tokenizers: encoding, and training a tokenizer.

    python -m benchmarks.prepare [--text FILE] [--megabytes 60] [--rounds 5] [--tokenizer PATH] [--workers N]

All in one run, in alternation, on one text and with one vocabulary. The peers encode texts that are in memory already,
and nothing else. kgpt reads the file, splits it, starts its processes, encodes, and writes shards with checksums; the
row without start-up subtracts the time that the same call takes for a text of a few kilobytes. A document is what
stands between empty lines. `python -m benchmarks.prepare_memory` is the memory of it.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.long_text import documents, write_text

VOCABULARY_SIZE = 32_768
GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
"""GPT-2's pattern as tiktoken writes it for itself: the same words, found faster."""
GOALS = {"tiktoken": 0.9, "Hugging Face encode_batch": 4.0, "Hugging Face": 1.0}


@dataclass(frozen=True)
class Bench:
    """What is measured on."""

    folder: Path
    file: Path
    texts: list[str]
    size: int
    """Bytes of the texts."""
    workers: int
    rounds: int


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    args = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        bench = _bench(args, Path(folder))
        print(
            f"{bench.size / 1e6:.1f} MB in {len(bench.texts):,} documents, {bench.workers} cores",
            flush=True,
        )
        if args.tokenizer:
            from kgpt.text.tokenizer import find_tokenizer

            tokenizer = find_tokenizer(args.tokenizer)
        else:
            tokenizer = measure_training(bench, min(3, bench.rounds))
        measure_encoding(bench, tokenizer)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--text", type=Path, help="a text in UTF-8 (default: made here)")
    parser.add_argument("--megabytes", type=float, default=60, help="of text (default: 60)")
    parser.add_argument("--rounds", type=int, default=5, help="of each (default: 5; 3 of training)")
    parser.add_argument("--tokenizer", help="one to use; without it, one is trained and timed")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--folder", help="where temporary files go (default: the system's)")
    return parser


def _bench(args: argparse.Namespace, folder: Path) -> Bench:
    size = int(args.megabytes * 1e6)
    if args.text:
        content = args.text.read_text(encoding="utf-8")[:size]
        texts = [part for part in re.split(r"\n\s*\n", content) if part.strip()]
    else:
        texts = list(documents(size))
    total = write_text(folder / "text.txt", texts, 0)
    return Bench(folder, folder / "text.txt", texts, total, args.workers, args.rounds)


def _prepare(bench: Bench, source: Path, name: str, **options: Any) -> Any:
    from kgpt.text.prepare import prepare

    return prepare(
        [source],
        bench.folder / name,
        documents="blank-line",
        workers=bench.workers,
        overwrite=True,
        **options,
    )


def _alternate(rounds: int, contestants: dict[str, Callable[[int], float]]) -> dict[str, float]:
    """The median of each one's seconds; each is told which round it is."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds):
        for name, measure in contestants.items():
            seconds[name].append(measure(turn))
            print(f"  round {turn + 1}  {name}  {seconds[name][-1]:.2f} s", file=sys.stderr)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# === Encoding ===


def measure_encoding(bench: Bench, tokenizer: Any) -> None:
    """MB/s of each, kgpt's share of the peers', and whether the ids are tiktoken's."""
    from tokenizers import Tokenizer as HuggingFace

    tokenizer.save(bench.folder / "tokenizer")
    theirs = HuggingFace.from_file(str(bench.folder / "tokenizer" / "tokenizer.json"))
    peer = tiktoken_of(tokenizer)
    few = bench.folder / "few.txt"
    write_text(few, bench.texts[:8], 0)
    corpora: dict[int, Any] = {}

    def whole(turn: int) -> float:
        start = time.perf_counter()
        corpora[turn] = _prepare(bench, bench.file, f"corpus-{turn}", tokenizer=tokenizer)
        return time.perf_counter() - start

    medians = _alternate(
        bench.rounds,
        {
            "kgpt prepare": whole,
            "start-up": lambda turn: _timed(
                lambda: _prepare(bench, few, f"few-{turn}", tokenizer=tokenizer)
            ),
            "tiktoken": lambda _: _timed(
                lambda: peer.encode_ordinary_batch(bench.texts, num_threads=bench.workers)
            ),
            "Hugging Face encode_batch": lambda _: _timed(lambda: theirs.encode_batch(bench.texts)),
        },
    )
    start_up = medians.pop("start-up")
    rates = {"kgpt prepare, without start-up": medians["kgpt prepare"] - start_up, **medians}
    rates = {name: bench.size / seconds / 1e6 for name, seconds in rates.items()}
    print(f"\nencoding with {tokenizer.vocabulary_size:,} ids, median of {bench.rounds}")
    print(f"start-up of kgpt prepare: {start_up:.2f} s")
    for name, rate in rates.items():
        print(f"{name:32} {rate:7.1f} MB/s" + _against(rates["kgpt prepare"] / rate, name))
    print(compared_with_tiktoken(corpora[0], peer, bench))


def _against(ratio: float, name: str, at_most: bool = False) -> str:
    if name not in GOALS:
        return ""
    is_met = ratio <= GOALS[name] if at_most else ratio >= GOALS[name]
    goal = f"goal {'at most' if at_most else 'at least'} {GOALS[name]:g}"
    return f"   kgpt: {ratio:.2f} x, {goal}: {'met' if is_met else 'MISSED'}"


def tiktoken_of(tokenizer: Any) -> Any:
    """The same vocabulary and rule in tiktoken; for GPT-2's rule with the pattern that tiktoken itself uses."""
    import tiktoken

    from kgpt.text.pretokenization import GPT2, pre_tokenization

    special = {tokenizer.vocabulary[token] for token in tokenizer.special_tokens}
    ranks = {
        tokenizer.token_bytes(index): index
        for index in range(tokenizer.vocabulary_size)
        if index not in special
    }
    name = tokenizer.pre_tokenization
    pattern = GPT2_PATTERN if name == GPT2.name else pre_tokenization(name).pattern
    return tiktoken.Encoding("same", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def prepared_documents(
    corpus: Any, splits: Sequence[str] = ("train", "validation")
) -> Iterator[Any]:
    """The ids of each document of a corpus, training split first."""
    for split in splits:
        ids = np.asarray(corpus.tokens(split))
        start = 0
        for end in np.flatnonzero(ids == corpus.manifest["end_of_text"]):
            yield ids[start:end]
            start = int(end) + 1


def compared_with_tiktoken(corpus: Any, peer: Any, bench: Bench) -> str:
    """A line about every document in the shards: whether tiktoken has the same ids, and whether all are there."""
    ours = Counter(ids.astype("<u4").tobytes() for ids in prepared_documents(corpus))
    theirs = Counter(
        np.array(ids, "<u4").tobytes()
        for ids in peer.encode_ordinary_batch(bench.texts, num_threads=bench.workers)
    )
    different = max((ours - theirs).total(), (theirs - ours).total())
    return f"documents whose ids differ from tiktoken's: {different:,} of {theirs.total():,}"


# === Training ===


def measure_training(bench: Bench, rounds: int) -> Any:
    """Seconds for a tokenizer of each, on the same documents; returns kgpt's."""
    corpora: dict[int, Any] = {}
    texts: list[str] = []
    lines = bench.folder / "training.txt"

    def ours(turn: int) -> float:
        stages: list[tuple[str, float]] = []
        corpora[turn] = _prepare(
            bench,
            bench.file,
            f"trained-{turn}",
            vocabulary_size=VOCABULARY_SIZE,
            tokenizer_sample=None,
            report=lambda line: stages.append((line, time.perf_counter())),
        )
        if not texts:
            decode = corpora[turn].tokenizer.decode
            texts.extend(map(decode, prepared_documents(corpora[turn], ("train",))))
            write_text(lines, texts, 0)
        names = [line for line, _ in stages]
        begin = next(place for place, line in enumerate(names) if line.startswith("Training"))
        end = next(place for place, line in enumerate(names) if line.startswith("Writing"))
        return stages[end][1] - stages[begin][1]

    medians = _alternate(
        rounds,
        {
            "kgpt prepare": ours,
            "Hugging Face": lambda _: _timed(lambda: train_hugging_face(texts)),
            "Hugging Face, from a file": lambda _: _timed(lambda: train_hugging_face(lines)),
        },
    )
    size = sum(len(text.encode()) for text in texts)
    print(f"\ntraining {VOCABULARY_SIZE:,} ids on {size / 1e6:.1f} MB, median of {rounds}")
    for name, seconds in medians.items():
        ratio = medians["kgpt prepare"] / seconds
        print(f"{name:32} {seconds:7.1f} s" + _against(ratio, name, at_most=True))
    return corpora[0].tokenizer


def train_hugging_face(texts: list[str] | Path) -> Any:
    """A byte-level BPE with GPT-2's rule, as `tokenizers` trains it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - 1,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    if isinstance(texts, Path):
        tokenizer.train([str(texts)], trainer)
    else:
        tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


if __name__ == "__main__":
    main(sys.argv[1:])
