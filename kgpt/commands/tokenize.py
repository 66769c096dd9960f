"""Show the tokens of a text: id, bytes and what they look like.

The tokenizer is that of a run, of prepared data, in a folder, or `bytes`. TEXT `-` reads standard input.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

EXAMPLES = """examples:
  kgpt tokenize demo "Marte é um planeta"
  kgpt tokenize data/books "Era uma vez" --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("tokenizer", metavar="RUN|DATA|FOLDER", help="whose tokenizer to use")
    parser.add_argument("text", metavar="TEXT", help="the text; - reads standard input")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Tokenize and print a token a line."""
    from kgpt.text.tokenizer import find_tokenizer

    tokenizer = find_tokenizer(args.tokenizer, args.saved_models)
    text = sys.stdin.read() if args.text == "-" else args.text
    ids = tokenizer.encode(text)
    pieces = [tokenizer.token_bytes(token) for token in ids]
    size = sum(map(len, pieces))
    if not args.json:
        for token, piece in zip(ids, pieces, strict=True):
            print(f"{token:>6}  {piece.hex(' '):<24}  {piece.decode(errors='replace')!r}")
        print(f"{len(ids)} tokens, {size} bytes")
    return {
        "ids": ids,
        "tokens": [
            {"id": token, "bytes_hex": piece.hex(), "text": piece.decode(errors="replace")}
            for token, piece in zip(ids, pieces, strict=True)
        ],
        "bytes": size,
    }
