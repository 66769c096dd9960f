"""The list of runs printed once, for scripts and for terminals that cannot draw.

In: the folder of saved models. Out: a plain table or one JSON object on stdout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kgpt.files import json_safe
from kgpt.language import N_, _
from workbench import wording
from workbench.catalog import Catalog
from workbench.run_summary import RunSummary

COLUMNS = (
    N_("RUN"), N_("STATE"), N_("STEP"), N_("TRAIN"), N_("VALIDATION"), N_("BEST"), N_("BITS/BYTE"),
    N_("TOKENS/S"), N_("AGE"), N_("SIZE"),
)  # fmt: skip


def print_runs(root: Path, only: str | None = None, as_json: bool = False) -> int:
    """Print the runs (or one) and return the exit code 0."""
    catalog = Catalog(root)
    catalog.refresh()
    while not catalog.is_complete:
        catalog.refresh()
    runs = [run for run in catalog.summaries if only in (None, run.name)]
    print(_as_json(runs) if as_json else _as_table(runs, root, catalog.clock()))
    return 0


def _as_json(runs: list[RunSummary]) -> str:
    rows = [{name: getattr(run, name) for name in JSON_KEYS} for run in runs]
    return json.dumps(json_safe({"runs": rows}), ensure_ascii=False)


JSON_KEYS = (
    "name",
    "state",
    "problem",
    "task",
    "preset",
    "parameters",
    "created",
    "step",
    "steps",
    "tokens",
    "train_loss",
    "validation_loss",
    "best_validation_loss",
    "best_step",
    "bits_per_byte",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "seconds",
    "seconds_left",
    "updated",
    "size",
)
"""What the JSON holds of a run."""


def _as_table(runs: list[RunSummary], root: Path, now: float) -> str:
    if not runs:
        return _("No runs in {root} yet. Start one with: kgpt-train", root=root)
    rows: list[tuple[Any, ...]] = [tuple(map(_, COLUMNS)), *(_cells(run, now) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = []
    for row in rows:
        texts = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
        numbers = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=False)]
        lines.append("  ".join(texts + numbers).rstrip())
    lines += [f"{run.name}: {run.problem}" for run in runs if run.problem]
    return "\n".join(lines)


def _cells(run: RunSummary, now: float) -> tuple[str, ...]:
    return (
        run.name,
        wording.look(run.state).word,
        wording.progress(run),
        wording.decimal(run.train_loss),
        wording.decimal(run.validation_loss),
        wording.decimal(run.best_validation_loss),
        wording.decimal(run.bits_per_byte),
        wording.short(run.tokens_per_second),
        wording.age(now - run.updated) if run.updated else wording.UNKNOWN,
        wording.size(run.size),
    )
