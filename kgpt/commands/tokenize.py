r"""Show the tokens of a text: id, bytes and what they look like; or those of two tokenizers beside each other.

The tokenizer is that of a run, of prepared data, in a folder or a file, or one of the names `bytes` and `gpt2` (GPT-2's
own, downloaded on first use). TEXT `-` reads standard input, in UTF-8. On a terminal with colours the text comes first,
each token with a background of its own: · is a space, → a tab, ⏎ the end of a line, \xc3 a byte of a character that
is split over tokens. In a pipe, or with NO_COLOR, there are plain columns.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from kgpt.errors import KgptError
from kgpt.language import N_, _

if TYPE_CHECKING:
    from kgpt.commands.token_views import Token

EXAMPLES = N_(
    "examples:\n"
    '  kgpt tokenize demo "Marte é um planeta"\n'
    '  kgpt tokenize data/books "Era uma vez" --json\n'
    "  kgpt tokenize demo - --beside gpt2 < letter.txt\n"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "tokenizer", metavar="RUN|DATA|FOLDER|FILE|gpt2|bytes", help=_("whose tokenizer to use")
    )
    parser.add_argument("text", metavar="TEXT", help=_("the text; - reads standard input"))
    parser.add_argument(
        "--beside", metavar="OTHER", help=_("a second tokenizer, to see the two side by side")
    )
    parser.add_argument(
        "--special",
        action="store_true",
        help=_(
            "take special tokens written in the text, such as <|endoftext|>, for what they name"
        ),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Tokenize and show."""
    from kgpt.commands.token_views import tokens_of
    from kgpt.text.tokenizer import find_tokenizer

    names = [args.tokenizer] + ([args.beside] if args.beside is not None else [])
    tokenizers = [find_tokenizer(name, args.saved_models) for name in names]
    text = _read_standard_input() if args.text == "-" else args.text
    tokens = [tokens_of(tokenizer, text, args.special) for tokenizer in tokenizers]
    if not args.json:
        _show(names, tokens, text)
    results = [
        {
            "ids": [token.id for token in shown],
            "tokens": [
                {
                    "id": token.id,
                    "bytes_hex": token.data.hex(),
                    "text": token.data.decode(errors="replace"),
                }
                for token in shown
            ],
            "bytes": sum(len(token.data) for token in shown),
        }
        for shown in tokens
    ]
    if args.beside is not None:
        results[0]["beside"] = {"tokenizer": args.beside} | results[1]
    return results[0]


def _read_standard_input() -> str:
    """The bytes of standard input, as they are: no line end is translated."""
    data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise KgptError(
            _("Text is not UTF-8"),
            _(
                "Byte {start} of standard input is {data:#04x}: {reason}.",
                start=error.start,
                data=data[error.start],
                reason=error.reason,
            ),
            _(
                "Convert it, for example: iconv -f ISO-8859-1 -t UTF-8 letter.txt | kgpt tokenize "
                "RUN -"
            ),
        ) from None


def _show(names: list[str], tokens: list[list[Token]], text: str) -> None:
    from rich.console import Console

    from kgpt.commands.token_tables import ColourView, comparison, figures, plain_lines, plain_pairs

    console = Console()
    in_colour = console.color_system is not None and not console.no_color
    is_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    view = ColourView(console, lambda block: print(block, end=""))
    if not (in_colour and is_unicode):
        for line in plain_lines(tokens[0]) if len(names) == 1 else plain_pairs(names, tokens):
            print(line)
    elif len(names) == 1:
        view.text(tokens[0])
        print()
        view.table(tokens[0], text)
        print()
    else:
        for name, each in zip(names, tokens, strict=True):
            view.heading(name)
            view.text(each)
            print()
        view.pair_table(names, tokens, text)
        print()
    if len(names) == 1:
        print(figures(tokens[0], text))
    else:
        print("\n".join(comparison(names, tokens, text)))
