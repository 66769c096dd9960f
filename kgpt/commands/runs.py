"""List the runs in the folder of saved models, with their states and losses."""

from __future__ import annotations

import argparse
from typing import Any

from kgpt.commands.tables import print_table
from kgpt.language import N_, _, number
from kgpt.runs import list_runs, saved_models_folder, summary

EXAMPLES = N_("examples:\n  kgpt runs\n  kgpt runs --json")

HEADINGS = (
    N_("run"),
    N_("state"),
    N_("step"),
    N_("train loss"),
    N_("best validation"),
    N_("bits/byte"),
    N_("tokens/s"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`kgpt runs` has the common options only."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print a table of the runs."""
    summaries = [summary(folder) for folder in list_runs(args.saved_models)]
    if not args.json:
        if summaries:
            _print_table(summaries)
        else:
            print(
                _(
                    "No runs in {saved_models} yet. Make one: kgpt-train",
                    saved_models=saved_models_folder(args.saved_models),
                )
            )
    return {"runs": summaries}


def _print_table(summaries: list[dict[str, Any]]) -> None:
    rows = [
        (
            item["name"],
            _(item["state"]),
            f"{number(item['step'] or 0, ',')}/{number(item['steps'] or 0, ',')}",
            _number(item["train_loss"], ".4f"),
            _number(item["best_validation_loss"], ".4f"),
            _number(item["bits_per_byte"], ".3f"),
            _number(item["tokens_per_second"], ",.0f"),
        )
        for item in summaries
    ]
    headings = tuple(map(_, HEADINGS))
    print_table(headings, rows, left=headings[:2])


def _number(value: Any, form: str) -> str:
    return number(value, form) if isinstance(value, (int, float)) else "-"
