"""What `kgpt evaluate` prints: results as tables, and which differences between runs are more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from kgpt.commands.measures import Measured
from kgpt.commands.tables import print_table
from kgpt.evaluation.statistics import is_noise
from kgpt.evaluations import LOSS_FIGURES, TASK_FIGURES, harness_metrics, with_error
from kgpt.language import N_, _, number


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
        print(_("Not compared: the runs were measured on different items."))
        return
    rows = [
        (
            " − ".join(item["runs"]),
            item["figure"],
            number(item["difference"], "+.4f"),
            with_error(item["standard_error"], None, ".4f"),
            _verdict(item, measured),
        )
        for item in compared
    ]
    print_table(
        (_("difference"), _("figure"), "", "±", _("at 95 %")),
        rows,
        (_("difference"), _("figure"), _("at 95 %")),
    )


def _verdict(item: dict[str, Any], measured: Sequence[Measured]) -> str:
    if item["within_noise"] is None:
        return _("unknown: too few items")
    if item["within_noise"]:
        return _("within the noise")
    figure = next(
        each.figures[item["figure"]] for each in measured if item["figure"] in each.figures
    )
    first_is_better = (item["difference"] > 0) == figure.higher_is_better
    return _("{run} is better", run=item["runs"][0 if first_is_better else 1])


def _name(item: Measured) -> str:
    return str(item.values["run"])


# === Tables ===

COUNTS = {
    "questions": N_("questions"),
    "scored": N_("scored"),
    "unscored": N_("unscored"),
    "cut_contexts": N_("cut contexts"),
}
"""Keys of a result that count questions, and their headings."""


def _print_losses(results: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            result["run"],
            number(result["step"], ","),
            *(_pair(result, name, form) for name, (_heading, form) in LOSS_FIGURES.items()),
            number(result["tokens"], ","),
            number(result["bytes"], ","),
        )
        for result in results
    ]
    names = [_(heading) for heading, _form in LOSS_FIGURES.values()]
    headings = (_("run"), _("step"), *names, _("tokens"), _("bytes"))
    print_table(headings, rows, left=headings[:1])


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
    headings = (_("subject"), _("right"), _("of"), "")
    print_table(headings, rows, left=(headings[0], ""))
    common = result["most_common_answer_accuracy"]
    print(
        _(
            "{run}: {accuracy:.1%} of {prompts} answers right (always giving each relation's "
            "most common answer: {common:.1%})",
            run=result["run"],
            accuracy=result["accuracy"],
            prompts=result["prompts"],
            common=common,
        )
    )


def _print_subsets(results: Sequence[dict[str, Any]]) -> None:
    subsets = results[0].get("by_subset")
    if not subsets:
        return
    rows = [
        (
            name,
            number(subsets[name]["questions"], ","),
            *(_pair(item["by_subset"][name], "accuracy", ".1%") for item in results),
        )
        for name in subsets
    ]
    headings = (_("subset"), _("questions"), *(item["run"] for item in results))
    print_table(headings, rows, left=headings[:1])
    print()


def _print_figures(results: Sequence[dict[str, Any]]) -> None:
    shown = [name for name in TASK_FIGURES if name in results[0]]
    counts = [name for name in COUNTS if any(name in item for item in results)]
    rows = [
        (
            item["run"],
            number(item["step"], ","),
            *(_pair(item, name, TASK_FIGURES[name][1]) for name in shown),
            *(number(item.get(name, 0), ",") for name in counts),
        )
        for item in results
    ]
    headings = (
        _("run"),
        _("step"),
        *(_(TASK_FIGURES[name][0]) for name in shown),
        *(_(COUNTS[name]) for name in counts),
    )
    print_table(headings, rows, left=headings[:1])


def _print_harness(results: Sequence[dict[str, Any]]) -> None:
    rows = []
    for task, metric, _value, _error in harness_metrics(results[0]["results"]):
        found = [item["results"][task] for item in results]
        cells = [with_error(each[metric], each.get(f"{metric}_stderr"), ".4f") for each in found]
        rows.append((task, metric, *cells))
    headings = (_("task"), _("metric"), *(item["run"] for item in results))
    print_table(headings, rows, left=headings[:2])


def _pair(values: dict[str, Any], name: str, form: str) -> str:
    return with_error(values[name], values.get(f"{name}_error"), form)
