"""What `kgpt evaluate` prints: results as tables, and which differences between runs are more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from kgpt.commands.measures import Measured
from kgpt.commands.tables import print_table
from kgpt.evaluation.statistics import is_noise

PERCENTS = (
    "accuracy",
    "accuracy_norm",
    "repetition_rate",
    "distinct_1",
    "distinct_2",
    "distinct_3",
)
FIGURES = {
    "accuracy": "accuracy",
    "accuracy_norm": "accuracy a byte",
    "perplexity": "perplexity",
    "distinct_1": "distinct 1",
    "distinct_2": "distinct 2",
    "distinct_3": "distinct 3",
    "repetition_rate": "repetition",
    "self_perplexity": "self-perplexity",
    "score": "score",
}
"""Figures of tests, and their headings."""


def comparison(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Differences of every two runs measured on the same items, paired by item."""
    found = []
    for one, other in combinations(measured, 2):
        if one.items != other.items:
            continue
        for name in one.figures:
            if name in other.figures:
                difference, error = one.figures[name].minus(other.figures[name])
                found.append(
                    {
                        "figure": name,
                        "runs": [_name(one), _name(other)],
                        "difference": difference,
                        "standard_error": error,
                        "within_noise": is_noise(difference, error),
                    }
                )
    return found


def print_results(measured: Sequence[Measured]) -> None:
    """The table of one measurement of every run."""
    values = [item.values for item in measured]
    if "by_subject" in values[0]:
        for item in values:
            _print_recall(item)
    elif "results" in values[0]:
        _print_harness(values)
    elif "task" in values[0]:
        _print_subsets(values)
        _print_figures(values)
    else:
        _print_losses(values)


def print_comparison(measured: Sequence[Measured], compared: Sequence[dict[str, Any]]) -> None:
    """What the differences between several runs mean."""
    if len(measured) < 2:
        return
    print()
    if not compared:
        print("Not compared: the runs were measured on different items.")
        return
    rows = [
        (
            " − ".join(item["runs"]),
            item["figure"],
            f"{item['difference']:+.4f}",
            _number(item["standard_error"], ".4f"),
            _verdict(item, measured),
        )
        for item in compared
    ]
    print_table(
        ("difference", "figure", "", "±", "at 95 %"), rows, ("difference", "figure", "at 95 %")
    )


def _verdict(item: dict[str, Any], measured: Sequence[Measured]) -> str:
    if item["within_noise"] is None:
        return "unknown: too few items"
    if item["within_noise"]:
        return "within the noise"
    figure = next(
        each.figures[item["figure"]] for each in measured if item["figure"] in each.figures
    )
    first_is_better = (item["difference"] > 0) == figure.higher_is_better
    return f"{item['runs'][0 if first_is_better else 1]} is better"


def _name(item: Measured) -> str:
    return str(item.values["run"])


# === Tables ===


def _print_losses(results: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            result["run"],
            f"{result['step']:,}",
            _pair(result, "loss", ".4f"),
            _pair(result, "perplexity", ".3f"),
            _pair(result, "bits_per_byte", ".4f"),
            f"{result['tokens']:,}",
            f"{result['bytes']:,}",
        )
        for result in results
    ]
    headings = ("run", "step", "loss", "perplexity", "bits per byte", "tokens", "bytes")
    print_table(headings, rows, left=("run",))


def _print_recall(result: dict[str, Any]) -> None:
    rows = [
        (
            subject,
            str(item["right"]),
            str(item["prompts"]),
            "█" * round(20 * item["right"] / item["prompts"]),
        )
        for subject, item in result["by_subject"].items()
    ]
    print_table(("subject", "right", "of", ""), rows, left=("subject", ""))
    common = result["most_common_answer_accuracy"]
    print(
        f"{result['run']}: {result['accuracy']:.1%} of {result['prompts']} answers right"
        f" (always giving each relation's most common answer: {common:.1%})"
    )


def _print_subsets(results: Sequence[dict[str, Any]]) -> None:
    subsets = results[0].get("by_subset")
    if not subsets:
        return
    rows = [
        (
            name,
            f"{subsets[name]['questions']:,}",
            *(_pair(item["by_subset"][name], "accuracy", ".1%") for item in results),
        )
        for name in subsets
    ]
    print_table(("subset", "questions", *(item["run"] for item in results)), rows, left=("subset",))
    print()


def _print_figures(results: Sequence[dict[str, Any]]) -> None:
    shown = [name for name in FIGURES if name in results[0]]
    counts = [
        name
        for name in ("questions", "scored", "unscored", "cut_contexts")
        if any(name in item for item in results)
    ]
    rows = [
        (
            item["run"],
            f"{item['step']:,}",
            *(_pair(item, name, ".1%" if name in PERCENTS else ".3f") for name in shown),
            *(f"{item.get(name, 0):,}" for name in counts),
        )
        for item in results
    ]
    headings = (
        "run",
        "step",
        *(FIGURES[name] for name in shown),
        *(name.replace("_", " ") for name in counts),
    )
    print_table(headings, rows, left=("run",))


def _print_harness(results: Sequence[dict[str, Any]]) -> None:
    rows = []
    for task, first in results[0]["results"].items():
        for metric, value in first.items():
            if (
                not metric.endswith("_stderr")
                and isinstance(value, int | float)
                and metric != "sample_len"
            ):
                cells = [_harness_pair(item["results"][task], metric) for item in results]
                rows.append((task, metric, *cells))
    print_table(
        ("task", "metric", *(item["run"] for item in results)), rows, left=("task", "metric")
    )


def _harness_pair(values: dict[str, Any], metric: str) -> str:
    return _with_error(values[metric], values.get(f"{metric}_stderr"), ".4f")


def _pair(values: dict[str, Any], name: str, form: str) -> str:
    return _with_error(values[name], values.get(f"{name}_error"), form)


def _with_error(value: Any, error: Any, form: str) -> str:
    shown = _number(value, form)
    return f"{shown} ± {_number(error, form)}" if isinstance(error, int | float) else shown


def _number(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "-"
