"""Write a run as one page of HTML: curves, samples, configuration, environment, log.

The page is RUN/report.html. It opens from the file and needs no network. Training writes it when it ends; this writes
it anew, also while training goes on.
"""

from __future__ import annotations

import argparse
from typing import Any

from kgpt.language import N_, _

EXAMPLES = N_("examples:\n  kgpt report demo\n  kgpt report demo machado          one page each")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `kgpt report`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=_("a run's name, or its path"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the pages and say where they are."""
    from kgpt.runs import find_run
    from kgpt.training.report import write_report

    folders = [find_run(name, args.saved_models) for name in args.runs]
    for folder in folders:
        folder.read()
    pages = [str(write_report(folder)) for folder in folders]
    if not args.json:
        print(*pages, sep="\n")
    return {"reports": pages}
