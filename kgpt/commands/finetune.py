"""Fine-tune a base run: let it learn a job from a file.

classify: give labels to texts, from a file with a text and a label a row.
instruct: answer, from a file of instructions, questions or conversations.
prefer: give the better answer, from a file of pairs of answers.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from kgpt.commands import add_common_options
from kgpt.language import N_, _

KINDS = {
    "classify": N_("give labels to texts"),
    "instruct": N_("answer questions and follow instructions"),
    "prefer": N_("give the better of two answers"),
}
"""What a base can be tuned for, and the line that the help says of it; each is a module `finetune_KIND` beside this."""

EXAMPLES = N_(
    "examples:\n"
    "  kgpt finetune classify demo --data sms.tsv --run spam\n"
    "  kgpt finetune instruct demo --data encyclopedia --run assistente\n"
    "  kgpt finetune classify --help"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A parser for each kind."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, line in KINDS.items():
        module = importlib.import_module(f"kgpt.commands.finetune_{name}")
        kind = kinds.add_parser(
            name,
            help=_(line),
            description=_(module.__doc__ or ""),
            epilog=_(module.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(kind)
        add_common_options(kind)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Hand on to the kind."""
    result: dict[str, Any] = importlib.import_module(f"kgpt.commands.finetune_{args.kind}").run(
        args
    )
    return result
