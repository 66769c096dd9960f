"""What the commands that write share: options of the choice of tokens, the texts as they come, styles.

In: parsed arguments, a stream of pieces. Out: `GenerateOptions`, a `Result`.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kgpt.language import N_, _
from kgpt.protocol import DECODERS, GenerateOptions

if TYPE_CHECKING:
    from kgpt.inference.continuation import Piece
    from kgpt.inference.generation import Result

DEFAULTS = GenerateOptions()
NUMBERS = {
    "max_tokens": N_("tokens at most (%(default)s)"),
    "temperature": N_("0 always takes the most probable token (%(default)s)"),
    "top_k": N_("keep the K most probable tokens; 0: all"),
    "top_p": N_("keep tokens up to this sum; 1: all"),
    "min_p": N_("drop tokens below this share of the most probable one; 0: none"),
    "typical_p": N_("keep typical tokens; 1: all"),
    "repetition_penalty": N_("above 1: fewer repetitions, of the prompt too (%(default)s)"),
    "frequency_penalty": N_("off a token's score for each time it was written (%(default)s)"),
    "presence_penalty": N_("off a token's score once it was written (%(default)s)"),
}
"""Options of `GenerateOptions` by the same name, and what `--help` says of them."""


def add_choices(add: Callable[..., object], defaults: GenerateOptions = DEFAULTS) -> None:
    """How a token is chosen."""
    for name, text in NUMBERS.items():
        default = getattr(defaults, name)
        kind = type(default)
        add(
            f"--{name.replace('_', '-')}",
            metavar="N" if kind is int else "X",
            type=kind,
            default=default,
            help=_(text),
        )
    add(
        "--no-repeat-ngram-size",
        metavar="N",
        type=int,
        default=defaults.no_repeat_ngram_size,
        help=_("no N tokens come twice in the same order; 0: they may"),
    )
    add(
        "--logit-bias",
        metavar="ID=X",
        action="append",
        default=[],
        type=_bias,
        help=_("add X to the score of token ID (repeatable; `kgpt tokenize` shows ids)"),
    )
    add(
        "--forbid",
        metavar="ID",
        dest="forbidden",
        action="append",
        default=[],
        type=int,
        help=_("never take token ID (repeatable)"),
    )
    add(
        "--stop",
        metavar="TEXT",
        action="append",
        default=[],
        help=_("end before TEXT (repeatable)"),
    )
    add(
        "--seed", metavar="N", type=int, help=_("same seed, same text (default: another each time)")
    )


def add_computation(add: Callable[..., object]) -> None:
    """What computes, with which weights."""
    add(
        "--decoder",
        choices=DECODERS,
        default="auto",
        help=_("what computes (auto: litert on a CPU, keras on a GPU)"),
    )
    add("--checkpoint", metavar="best|last|STEP", default="best", help=_("default: %(default)s"))


def chosen_options(args: argparse.Namespace) -> GenerateOptions:
    """The options that were given.

    Raises:
        KgptError: one is out of its range.
    """
    values = {item.name: getattr(args, item.name) for item in dataclasses.fields(GenerateOptions)}
    return GenerateOptions.from_dict({**values, "logit_bias": dict(args.logit_bias)})


def _bias(text: str) -> tuple[int, float]:
    token, _, value = text.partition("=")
    return int(token), float(value)


def collected(pieces: Iterator[Piece], show: Callable[[str], None]) -> Result:
    """The result of a stream, shown as it comes; Ctrl-C ends it, and what was written stays."""
    from kgpt.inference.generation import Recorder

    recorder = Recorder()
    try:
        for piece in pieces:
            recorder.add(piece)
            show(piece.text)
    except KeyboardInterrupt:
        print(file=sys.stderr)
    return recorder.result()


def styled(text: str, code: str) -> str:
    """The text in an ANSI style, where a terminal shows it."""
    return f"\033[{code}m{text}\033[0m" if text and sys.stdout.isatty() else text
