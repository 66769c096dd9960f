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
from kgpt.runs import find_run

if TYPE_CHECKING:
    from kgpt.inference.thresholds import Thresholds

EXAMPLES = """examples:
  kgpt classify spam "You won a prize"
  kgpt classify spam --file messages.txt --json
  kgpt classify spam --threshold 0.9 "Call me"       no label below 90 %
  kgpt classify spam --threshold spam=0.99 --file messages.txt"""
SHOWN_CHARACTERS = 70
TERMINAL_LABELS = 3
"""Labels whose probabilities a table shows."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt classify`."""
    parser.add_argument("name", metavar="RUN", help="a classifier: a run's name, or its path")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="a text to label")
    parser.add_argument("--file", metavar="FILE", help="a text a line; - is standard input")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="X|LABEL=X",
        help="X: give no label below this probability; LABEL=X: give this one from X on, and never below (repeatable)",
    )
    parser.add_argument("--checkpoint", default="best", metavar="best|last|STEP", help="(best)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Label, and print a row a text."""
    thresholds = _thresholds(args.threshold)
    folder = find_run(args.name, args.saved_models)
    folder.check_labels()
    checkpoint = folder.checkpoint(args.checkpoint)
    texts = _texts(args)
    show_stage("starting TensorFlow")
    from kgpt.inference.classification import load_classifier

    classifier = load_classifier(folder, checkpoint, show_stage)
    results = list(classifier.classify(texts, thresholds))
    if not args.json:
        rows = []
        for found in results:
            likely = sorted(found.probabilities.items(), key=lambda item: -item[1])
            text = " ".join(found.text.split())
            shown = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
            values = "  ".join(f"{label} {value:.3f}" for label, value in likely[:TERMINAL_LABELS])
            rows.append([found.label or "-", values, shown])
        print_table(
            ["label", "probabilities", "text"], rows, left=["label", "probabilities", "text"]
        )
    return {
        "run": folder.name,
        "step": checkpoint.step,
        "results": [found.to_dict() for found in results],
    }


def _texts(args: argparse.Namespace) -> list[str]:
    if bool(args.texts) == bool(args.file):
        raise KgptError(
            "No texts" if not args.file else "Texts twice",
            "Expected texts as arguments, or --file FILE with a text a line.",
            f'For example: kgpt classify {args.name} "your text"',
        )
    texts = args.texts or _lines(args.file)
    if not texts:
        raise KgptError("No texts", f"{args.file} has no lines with text.", "Give a text a line.")
    return list(texts)


def _lines(name: str) -> Sequence[str]:
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise KgptError(
            "File not readable", f"{name}: {error.strerror or error}.", "Give a text file."
        ) from None
    except UnicodeDecodeError as error:
        raise KgptError(
            "Not UTF-8",
            f"{name}: byte {error.start} is 0x{content[error.start]:02X}, which is not UTF-8 there.",
            "Save it as UTF-8.",
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
                "Bad threshold",
                f"Expected a number from 0 to 1, or LABEL=NUMBER. Received: {text!r}",
                "For example: --threshold spam=0.9",
            )
        if label:
            of[label] = value
        else:
            every = value
    from kgpt.inference.thresholds import Thresholds

    return Thresholds(every, of)
