"""Turn text into a tokenizer and token shards.

Sources are .txt files in UTF-8, folders of them, globs in quotes, or the built-in `encyclopedia`. The same call again
does nothing while sources and options are unchanged.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

EXAMPLES = """examples:
  kgpt prepare books/ --vocab-size 8192                 documents are files; the data goes to data/books
  kgpt prepare play.txt --tokenizer bytes --validation tail --validation-fraction 0.1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="file, folder, glob or encyclopedia"
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        help="folder to write; a bare name goes under $KGPT_DATA or data (default: named for the first source)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--vocab-size",
        type=int,
        default=4096,
        metavar="N",
        help="train a BPE of N ids (default: %(default)s)",
    )
    kind.add_argument(
        "--tokenizer",
        metavar="bytes|PATH",
        help="use bytes, or the tokenizer of a run, data or folder",
    )
    parser.add_argument(
        "--documents",
        choices=("file", "blank-line", "line"),
        default="file",
        help="a document is a whole file, the text between blank lines, or a line (default: %(default)s)",
    )
    parser.add_argument(
        "--validation",
        choices=("random", "tail"),
        default="random",
        help="hold out documents at random, or the last ones; a single document is cut at its tail"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--validation-fraction",
        type=float,
        default=0.05,
        metavar="F",
        help="share of the bytes to hold out (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the draw (default: %(default)s)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace data prepared from other text or options"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Prepare and report."""
    from kgpt.text.prepare import prepare
    from kgpt.text.tokenizer import find_tokenizer

    started = time.monotonic()
    corpus = prepare(
        args.sources,
        args.output,
        vocabulary_size=args.vocab_size,
        tokenizer=find_tokenizer(args.tokenizer, args.saved_models) if args.tokenizer else None,
        documents=args.documents,
        validation=args.validation,
        validation_fraction=args.validation_fraction,
        seed=args.seed,
        overwrite=args.overwrite,
        report=lambda line: print(line, file=sys.stderr, flush=True),
    )
    tokens = corpus.train_tokens + corpus.validation_tokens
    size = corpus.train_bytes + corpus.validation_bytes
    result = {
        "output": str(corpus.folder),
        "documents": corpus.documents,
        "tokens": tokens,
        "bytes": size,
        "bytes_per_token": size / tokens,
        "vocabulary_size": corpus.manifest["vocabulary_size"],
        "train_tokens": corpus.train_tokens,
        "validation_tokens": corpus.validation_tokens,
        "validation_bytes": corpus.validation_bytes,
        "seconds": time.monotonic() - started,
    }
    if not args.json:
        _print(result)
    return result


def _print(result: dict[str, Any]) -> None:
    share = result["validation_bytes"] / result["bytes"]
    print(f"output      {result['output']}")
    print(f"documents   {result['documents']:,}")
    print(f"bytes       {result['bytes']:,}")
    print(f"tokens      {result['tokens']:,}  ({result['bytes_per_token']:.2f} bytes each)")
    print(f"vocabulary  {result['vocabulary_size']:,} ids")
    print(f"train       {result['train_tokens']:,} tokens")
    print(f"validation  {result['validation_tokens']:,} tokens  ({share:.1%} of the bytes)")
    print(f"seconds     {result['seconds']:.1f}")
