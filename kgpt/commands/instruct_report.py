"""What a person sees of a model that learns to answer: the conversations before, the figures after.

In: a plan, results. Out: lines and tables on stdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kgpt.commands.tables import print_left_out, print_table
from kgpt.language import _, number

if TYPE_CHECKING:
    from kgpt.text.conversations import Conversations
    from kgpt.training.ending import TrainResult
    from kgpt.training.instructing import InstructPlan

SHOWN_EXAMPLES = 3
SHOWN_CHARACTERS = 60


def show_plan(plan: InstructPlan, found: Conversations | None) -> None:
    """What was read, what was left out, parts, lengths, and examples whose masked part is marked."""
    task = plan.task
    if found is None:
        print(_("The encyclopedia's own questions, one phrasing of each fact that is asked about."))
    else:
        print(_("{rows:,} rows: {fields}.", rows=found.rows, fields=found.fields))
        print_left_out(found.left_out)
    rows = [
        [
            _(name),
            number(len(part.rows), ","),
            number(sum(len(row.inputs) for row in part.rows), ","),
        ]
        + [number(part.learned, ",")]
        for name, part in task.rows.items()
    ]
    headings = [_("part"), _("conversations"), _("tokens"), _("to learn")]
    print_table(headings, rows, left=headings[:1])
    _show_lengths(plan)
    if plan.added_tokens:
        print(
            _("New in the vocabulary: {added_tokens}.", added_tokens=", ".join(plan.added_tokens))
        )
    print(_("What is read, and [[what is learned]]:"))
    for row in task.rows["train"].rows[:SHOWN_EXAMPLES]:
        print(f"  {_marked(plan, row.inputs[:1] + row.targets, [0.0, *row.weights])}")


def _show_lengths(plan: InstructPlan) -> None:
    task = plan.task
    lengths = np.array([length for part in task.rows.values() for length in part.lengths])
    line = _(
        "Tokens a conversation: median {median:.0f}, longest {longest:,}; the model reads {read:,}.",
        median=float(np.median(lengths)),
        longest=int(lengths.max()),
        read=task.longest,
    )
    cut = sum(part.cut for part in task.rows.values())
    dropped = sum(part.dropped for part in task.rows.values())
    if cut:
        line += " " + _("{cut:,} ({share:.1%}) lose their end.", cut=cut, share=cut / len(lengths))
    if dropped:
        line += " " + _(
            "{dropped:,} are left out: their answer begins behind that.", dropped=dropped
        )
    print(line)
    batches = task.batches(plan.config)
    if task.settings.packing:
        held = sum(batches.lengths) / (len(batches.members) * task.longest)
        print(
            _(
                "Packed into {count:,} rows of {longest:,} tokens, {held:.0%} full.",
                count=len(batches.members),
                longest=task.longest,
                held=held,
            )
        )


def _marked(plan: InstructPlan, ids: list[int], weights: list[float]) -> str:
    """A conversation on a line, what is learned in double brackets."""
    parts: list[tuple[bool, list[int]]] = []
    for token, weight in zip(ids, weights, strict=True):
        if not parts or parts[-1][0] != (weight > 0):
            parts.append((weight > 0, []))
        parts[-1][1].append(token)
    shown = ""
    for learned, some in parts:
        text = plan.task.tokenizer.decode(some).replace("\n", "↵")
        if len(text) > 2 * SHOWN_CHARACTERS:
            text = f"{text[:SHOWN_CHARACTERS]} … {text[-SHOWN_CHARACTERS:]}"
        shown += f"[[{text}]]" if learned else text
    return shown


def show_results(result: TrainResult, results: Mapping[str, Any] | None) -> None:
    """The figures on the test part, the worst answers, and what to do next."""
    name = result.run.name
    if results is None:
        print(
            _(
                "Stopped at step {steps}; everything is saved. Go on with: kgpt finetune instruct "
                "--run {name} --resume",
                steps=result.steps,
                name=name,
            )
        )
        return
    rows = []
    for part in ("validation", "test"):
        if part in results:
            figures = results[part]
            base = figures.get("base_loss")
            row = [_(part), number(figures["conversations"], ","), number(figures["loss"], ".4f")]
            row += [
                number(figures["perplexity"], ".2f"),
                "-" if base is None else number(base, ".4f"),
            ]
            rows.append(row)
    print(_("{name}, step {step}:", name=name, step=results["step"]))
    headings = [
        _("part"),
        _("conversations"),
        _("loss"),
        _("perplexity"),
        _("the base's loss"),
    ]
    print_table(headings, rows, left=headings[:1])
    figures = results.get("test") or results["validation"]
    if "exact" in figures:
        _show_answers(figures)
    if forgetting := results.get("forgetting"):
        print(
            _(
                "On the base's own data: loss {before:.4f} before, {after:.4f} after.",
                before=forgetting["before"],
                after=forgetting["after"],
            )
        )
    print(_("Next: kgpt chat {name}", name=name))


def _show_answers(figures: Mapping[str, Any]) -> None:
    kinds = figures["exact_by_kind"]
    by_kind = [f"{_(kind)}: {_share(one)}" for kind, one in kinds.items()]
    line = _("Exact answers: {share}", share=_share(figures))
    print(line + (f" ({'; '.join(by_kind)})" if by_kind else "") + ".")
    if figures["worst"]:
        print(_("The worst of the others:"))
        rows = [
            [_short(one["asked"]), _short(one["expected"]), _short(one["written"])]
            for one in figures["worst"]
        ]
        headings = [_("asked"), _("expected"), _("written")]
        print_table(headings, rows, left=headings)


def _share(figures: Mapping[str, Any]) -> str:
    return _("{exact:.1%} of {answered:,}", exact=figures["exact"], answered=figures["answered"])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
