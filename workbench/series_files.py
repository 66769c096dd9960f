"""The curves of runs as files: all rows of their metrics, as CSV or JSON lines.

In: run folders and a path, whose ending chooses the format. Out: the file, whole or not at all. Knows no Textual.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from kgpt.errors import KgptError
from kgpt.files import json_safe, read_json_lines, written_aside
from kgpt.language import _
from kgpt.runs import RunFolder

FIRST_COLUMNS = ("run", "step", "tokens", "seconds")
ENDINGS = (".csv", ".jsonl", ".svg")


def check_target(path: Path) -> None:
    """Raise a `KgptError` unless the path ends in what can be written, and is free."""
    if path.suffix not in ENDINGS:
        endings = ", ".join(ENDINGS)
        raise KgptError(
            _("Unknown format"),
            _("{path} ends in none of {endings}.", path=path, endings=endings),
            _("Choose one."),
        )
    if path.exists():
        raise KgptError(
            _("File exists"), _("{path} is there already.", path=path), _("Choose another name.")
        )


def write_series(runs: Sequence[RunFolder], path: Path) -> int:
    """Write the rows of all runs, each with its run's name; the number of rows.

    Raises:
        KgptError: the ending is unknown, or the file exists.
        KgptFailure: the disk is full, or the place cannot be written.
    """
    check_target(path)
    if path.suffix == ".csv":
        return _write_csv(runs, path)
    count = 0
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8") as file:
        for run in runs:
            for row in read_json_lines(run.metrics_file):
                line = json.dumps(json_safe({"run": run.name, **row}), ensure_ascii=False)
                file.write(line + "\n")
                count += 1
    return count


def _write_csv(runs: Sequence[RunFolder], path: Path) -> int:
    """CSV with a column for every key that any row has; an empty cell is a key that a row lacks."""
    keys: dict[str, None] = dict.fromkeys(FIRST_COLUMNS)
    for run in runs:
        for row in read_json_lines(run.metrics_file):
            keys.update(dict.fromkeys(row))
    count = 0
    with written_aside(path) as aside, open(aside, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(keys), restval="")
        writer.writeheader()
        for run in runs:
            for row in read_json_lines(run.metrics_file):
                writer.writerow({"run": run.name, **row})
                count += 1
    return count
