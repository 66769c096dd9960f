"""What `kgpt evaluate` has kept of a run: rows of `evaluations.jsonl` in, figures with their errors, as text, out.

Terminal, page and workbench word results alike through this. A row may be of any version, or damaged: what it lacks is
not shown. Standard library alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from kgpt.files import is_number
from kgpt.language import N_, _, number

LOSS_FIGURES = {
    "loss": (N_("loss"), ".4f"),
    "perplexity": (N_("perplexity"), ".3f"),
    "bits_per_byte": (N_("bits per byte"), ".4f"),
}
"""Figures of a loss: their headings, and how they are written."""
TASK_FIGURES = {
    "accuracy": (N_("accuracy"), ".1%"),
    "accuracy_norm": (N_("accuracy a byte"), ".1%"),
    "perplexity": (N_("perplexity"), ".3f"),
    "distinct_1": (N_("distinct 1"), ".1%"),
    "distinct_2": (N_("distinct 2"), ".1%"),
    "distinct_3": (N_("distinct 3"), ".1%"),
    "repetition_rate": (N_("repetition"), ".1%"),
    "self_perplexity": (N_("self-perplexity"), ".3f"),
    "score": (N_("score"), ".1f"),
}
"""Figures of tasks, likewise."""
OPTIONS = ("decoder", "context", "stride", "limit")
"""Keys of a row that make it another measurement."""


@dataclass(frozen=True)
class Result:
    """One measurement of a run."""

    measurement: str
    """What was measured, on what: `lambada, lambada_test.jsonl`."""
    step: int | None
    """Of the checkpoint."""
    figures: tuple[tuple[str, str], ...]
    """Names and values, such as `accuracy` and `34.0% ± 1.5%`."""


def results(rows: Iterable[Mapping[str, Any]], *, translated: bool = False) -> list[Result]:
    """The newest result of each measurement, the newest first; `translated` for people, else English as files are."""
    newest: dict[str, Result] = {}
    for row in rows:
        figures = tuple(_figures(row, translated))
        if figures:
            step, measurement = row.get("step"), _measurement(row)
            newest.pop(measurement, None)
            whole = step if isinstance(step, int) else None
            newest[measurement] = Result(measurement, whole, figures)
    return list(newest.values())[::-1]


def with_error(
    value: Any, error: Any, form: str, write: Callable[[float, str], str] = number
) -> str:
    """A value and its standard error as `write` writes them; `-` for a value that is not known."""
    if not is_number(value):
        return "-"
    shown = write(value, form)
    return f"{shown} ± {write(error, form)}" if is_number(error) else shown


def harness_metrics(
    found: Mapping[str, Any],
) -> Iterator[tuple[str, str, Any, Any]]:
    """Task, metric, value and standard error of each figure in the results of lm-eval."""
    for task, values in found.items():
        for metric, value in values.items() if isinstance(values, Mapping) else ():
            is_figure = is_number(value) and metric != "sample_len"
            if is_figure and not metric.endswith("_stderr"):
                yield task, metric, value, values.get(f"{metric}_stderr")


def _measurement(row: Mapping[str, Any]) -> str:
    place = row.get("file") or row.get("source")
    parts = [str(row.get("task") or "loss")]
    parts += [PurePath(str(place)).name] if place else []
    return ", ".join([*parts, *(f"{name} {row[name]}" for name in OPTIONS if row.get(name))])


def _figures(row: Mapping[str, Any], translated: bool) -> Iterator[tuple[str, str]]:
    write = number if translated else format
    found = row.get("results")
    if isinstance(found, Mapping):
        for task, metric, value, error in harness_metrics(found):
            yield f"{task} {metric}", with_error(value, error, ".4f", write)
    for name, (heading, form) in (TASK_FIGURES if row.get("task") else LOSS_FIGURES).items():
        if is_number(row.get(name)):
            name_shown = _(heading) if translated else heading
            yield name_shown, with_error(row[name], row.get(f"{name}_error"), form, write)
