"""What a person sees of a fine-tuning before and after it: the data that was read, the figures that came out.

In: a plan, results. Out: lines and tables on stdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kgpt.commands.tables import print_left_out, print_table
from kgpt.language import N_, _, number

if TYPE_CHECKING:
    from kgpt.text.labelled import Examples
    from kgpt.training.ending import TrainResult
    from kgpt.training.finetuning import Plan

SHOWN_EXAMPLES = 3
SHOWN_CHARACTERS = 100
MOST_COLUMNS = 12
"""Labels up to which the confusion matrix is shown whole."""


def show_plan(plan: Plan, found: Examples) -> None:
    """What was read, what was left out, the parts, lengths, and three examples as the model reads them."""
    from kgpt.text.parting import counts

    task = plan.task
    print(
        _(
            "{rows:,} rows: text in {text_field!r}, label in {label_field!r}; {count} labels.",
            rows=found.rows,
            text_field=found.text_field,
            label_field=found.label_field,
            count=len(found.labels),
        )
    )
    set_aside = task.parts.set_aside
    balanced = [_("{count:,} to balance the labels", count=set_aside)] if set_aside else []
    print_left_out(found.left_out, *balanced)
    if task.parts.leaks:
        print(
            _(
                "Warning: {leaks:,} texts of the test part are in the training part too; "
                "--duplicates drop keeps them apart.",
                leaks=task.parts.leaks,
            )
        )
    columns = [counts(part) for _name, part in task.parts]
    rows = [
        [label, *(number(column.get(label, 0), ",") for column in columns)]
        for label in found.labels
    ]
    total = [_("all"), *(number(sum(column.values()), ",") for column in columns)]
    headings = [_("label"), *(_(name) for name, _part in task.parts)]
    print_table(headings, [*rows, total], left=headings[:1])
    _show_lengths(plan)
    for example, ids in list(zip(task.parts.train, task.rows["train"].rows, strict=True))[
        :SHOWN_EXAMPLES
    ]:
        text = " ".join(example.text.split())
        shown = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
        print(
            _(
                "  {count:>4} tokens  {shown}  →  {label}",
                count=len(ids),
                shown=shown,
                label=example.label,
            )
        )


def _show_lengths(plan: Plan) -> None:
    task = plan.task
    lengths = np.array([n for rows in task.rows.values() for n in rows.lengths])
    cut = sum(rows.cut for rows in task.rows.values())
    line = _(
        "Tokens a text: median {median:.0f}, longest {longest:,}; the model reads {read:,}.",
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
        read=task.longest,
    )
    if cut:
        line += " " + _(
            "{cut:,} texts ({share:.1%}) lose their end.", cut=cut, share=cut / len(lengths)
        )
    print(line)


def show_results(result: TrainResult, results: Mapping[str, Any] | None) -> None:
    """The figures on the test part, and what to do next."""
    name = result.run.name
    if results is None:
        print(
            _(
                "Stopped at step {steps}; everything is saved. Go on with: kgpt finetune classify "
                "--run {name} --resume",
                steps=result.steps,
                name=name,
            )
        )
        return
    part = N_("test") if "test" in results else N_("validation")
    title = _("{name}, step {step}, {part} part", name=name, step=results["step"], part=_(part))
    show_figures(results[part], title)
    print(
        _(
            'Next: kgpt classify {name} "your text"   ·   kgpt classify {name} --file texts.txt',
            name=name,
        )
    )


def show_figures(figures: Mapping[str, Any], title: str) -> None:
    """Accuracy, calibration, and by label precision, recall, F1 and what was taken for what."""
    print(
        _(
            "{title}: accuracy {accuracy:.2%} of {examples:,}, macro F1 {macro_f1:.4f}, "
            "calibration error {calibration_error:.3f}",
            title=title,
            accuracy=figures["accuracy"],
            examples=figures["examples"],
            macro_f1=figures["macro_f1"],
            calibration_error=figures["calibration_error"],
        )
    )
    labels = figures["labels"]
    shows_all = len(labels) <= MOST_COLUMNS
    headings = [_("label"), _("precision"), _("recall"), "F1", _("texts")]
    rows = []
    for label, given in zip(labels, figures["confusion"], strict=True):
        values = figures["by_label"][label]
        row = [label, *(number(values[key], ".4f") for key in ("precision", "recall", "f1"))]
        rows.append(
            [*row, number(values["examples"], ","), *(map(str, given) if shows_all else ())]
        )
    if shows_all:
        headings += [f"→ {label}" for label in labels]
    print_table(headings, rows, left=headings[:1])
