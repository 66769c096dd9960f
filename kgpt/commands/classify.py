"""Label texts with a fine-tuned classifier.

Texts are arguments, or the lines of a file, or of standard input (`--file -`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.stages import show_stage
from kgpt.commands.tables import print_table
from kgpt.errors import KgptError
from kgpt.language import N_, _, number
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.thresholds import Thresholds

EXAMPLES = N_(
    "examples:\n"
    '  kgpt classify spam "You won a prize"\n'
    "  kgpt classify spam --file messages.txt --json\n"
    '  kgpt classify spam --threshold 0.9 "Call me"       no label below 90 %\n'
    "  kgpt classify spam --threshold spam=0.99 --file messages.txt"
)
SHOWN_CHARACTERS = 70
TERMINAL_LABELS = 3
"""Labels whose probabilities a table shows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt classify`."""
    parser.add_argument("name", metavar="RUN", help=_("a classifier: a run's name, or its path"))
    parser.add_argument("texts", nargs="*", metavar="TEXT", help=_("a text to label"))
    parser.add_argument("--file", metavar="FILE", help=_("a text a line; - is standard input"))
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="X|LABEL=X",
        help=_(
            "X: give no label below this probability; LABEL=X: give this one from X on, and "
            "never below (repeatable)"
        ),
    )
    parser.add_argument("--checkpoint", default="best", metavar="best|last|STEP", help=_("(best)"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Label, and print a row a text."""
    thresholds = _thresholds(args.threshold)
    folder = find_run(args.name, args.saved_models)
    folder.check_labels()
    checkpoint = folder.checkpoint(args.checkpoint)
    texts = _texts(args)
    show_stage(_("starting TensorFlow"))
    from kgpt.inference.classification import load_classifier

    classifier = load_classifier(folder, checkpoint, show_stage)
    results = list(classifier.classify(texts, thresholds))
    if not args.json:
        rows = []
        for found in results:
            likely = sorted(found.probabilities.items(), key=lambda item: -item[1])
            text = " ".join(found.text.split())
            shown = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
            values = "  ".join(
                f"{label} {number(value, '.3f')}" for label, value in likely[:TERMINAL_LABELS]
            )
            rows.append([found.label or "-", values, shown])
        headings = [_("label"), _("probabilities"), _("text")]
        print_table(headings, rows, left=headings)
    return {
        "run": folder.name,
        "step": checkpoint.step,
        "results": [found.to_dict() for found in results],
    }


def _texts(args: argparse.Namespace) -> list[str]:
    if bool(args.texts) == bool(args.file):
        raise KgptError(
            _("No texts") if not args.file else _("Texts twice"),
            _("Expected texts as arguments, or --file FILE with a text a line."),
            _('For example: kgpt classify {name} "your text"', name=args.name),
        )
    texts = args.texts or _lines(args.file)
    if not texts:
        raise KgptError(
            _("No texts"),
            _("{file} has no lines with text.", file=args.file),
            _("Give a text a line."),
        )
    return list(texts)


def _lines(name: str) -> Sequence[str]:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise KgptError(
            _("File not readable"), f"{name}: {error.strerror or error}.", _("Give a text file.")
        ) from None
    except UnicodeDecodeError as error:
        raise KgptError(
            _("Not UTF-8"),
            _(
                "{name}: byte {start} is 0x{content:02X}, which is not UTF-8 there.",
                name=name,
                start=error.start,
                content=content[error.start],
            ),
            _("Save it as UTF-8."),
        ) from None
    return [line for line in text.splitlines() if line.strip()]


def _thresholds(given: Sequence[str]) -> Thresholds:
    every, of = 0.0, {}
    for text in given:
        label, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1 or (equals and not label):
            raise KgptError(
                _("Bad threshold"),
                _("Expected a number from 0 to 1, or LABEL=NUMBER. Received: {text!r}", text=text),
                _("For example: --threshold spam=0.9"),
            )
        if label:
            of[label] = value
        else:
            every = value
    from kgpt.inference.thresholds import Thresholds

    return Thresholds(every, of)
