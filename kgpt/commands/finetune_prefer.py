"""Teach a run which of two answers is better, from a file of preferences (prompt, chosen, rejected).

The method is direct preference optimisation (Rafailov et al., 2023). The base is best a run that answers already; the
new run answers as it does.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from kgpt.commands.finetune_options import (
    add_data_options,
    add_lora_options,
    add_run_options,
    add_training_options,
    changes_on_resume,
    configuration,
    lora_of,
    shares_of,
)
from kgpt.commands.stages import show_stage
from kgpt.commands.tables import print_left_out, print_table
from kgpt.config import OptimizerConfig, TrainConfig
from kgpt.errors import KgptError
from kgpt.finetune_config import PreferConfig
from kgpt.language import N_, _, number
from kgpt.runs import find_run, new_run

if TYPE_CHECKING:
    from kgpt.text.preferences import Preferences
    from kgpt.training.finetuned import Outcome
    from kgpt.training.preferring import PreferPlan

EXAMPLES = N_(
    "examples:\n"
    "  kgpt finetune prefer assistente --data preferences.jsonl --run melhor\n"
    "  kgpt finetune prefer assistente --data preferences.jsonl --run melhor --beta 0.3 "
    "--lora-rank 8\n"
    "  kgpt finetune prefer --run melhor --resume --epochs 4"
)

DEFAULTS = TrainConfig(
    optimizer=OptimizerConfig(learning_rate=5e-5, warmup_steps=10, weight_decay=0.0),
    batch_size=8,
    epochs=2.0,
    early_stopping=3,
)
"""Where fine-tuning begins; the model is the base's."""
LORA_LEARNING_RATE = 5e-4
"""The default with adapters, which are few and start at zero."""
SHOWN_EXAMPLES, SHOWN_CHARACTERS = 3, 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt finetune prefer`."""
    add_run_options(parser, _("preferences: .jsonl .json .csv .tsv .parquet"))
    add = parser.add_argument_group(_("data")).add_argument
    add_data_options(add, "0.85,0.05,0.1")
    add(
        "--template",
        metavar="NAME|FILE",
        help=_("how conversations are written down (the base's, or chat)"),
    )
    add("--max-length", type=int, default=0, metavar="N", help=_("tokens of a conversation"))
    add = parser.add_argument_group(_("model")).add_argument
    add("--beta", type=float, default=0.1, metavar="X", help=_("hold on to the base (%(default)s)"))
    add_lora_options(add)
    add = parser.add_argument_group(_("training")).add_argument
    add_training_options(add, DEFAULTS, LORA_LEARNING_RATE, _("pairs at once"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Show the data, train, show the figures."""
    outcome = _resumed(args) if args.resume else _new(args)
    result, results = outcome.training, outcome.results
    if not args.json:
        _show_results(outcome)
    return {
        "run": str(result.run.path),
        "steps": result.steps,
        "validation_loss": result.validation_loss,
        "seconds": round(result.seconds, 2),
        "finished": result.finished,
        **(results or {}),
        "exit_code": 0 if result.finished else 130,
    }


def _new(args: argparse.Namespace) -> Outcome:
    if not args.base or not args.data:
        raise KgptError(
            _("What shall learn what?"),
            _("Expected a base run and --data FILE."),
            _("For example: kgpt finetune prefer assistente --data preferences.jsonl --run melhor"),
        )
    new_run(args.run, args.saved_models)  # what is wrong is told before Keras loads
    base = find_run(args.base, args.saved_models)
    base.check_writes()
    checkpoint = base.checkpoint(args.checkpoint)
    settings = PreferConfig(
        beta=args.beta, max_length=args.max_length, lora=lora_of(args), shares=shares_of(args)
    )
    model = base.configuration()["model"]
    config = configuration(args, model, DEFAULTS, settings.lora, LORA_LEARNING_RATE)
    from kgpt.text.preferences import read_preferences
    from kgpt.text.templates import find_template

    template = find_template(args.template) if args.template else None
    found = read_preferences(args.data, on_error=args.on_error)
    from kgpt.commands.progress import TrainingDisplay

    show_stage(_("starting TensorFlow"))
    from kgpt.training.preferring import finetune_prefer, plan_prefer

    plan = plan_prefer(
        base,
        checkpoint,
        found.preferences,
        os.path.abspath(args.data),
        template,
        config,
        settings,
        args.saved_models,
        every_epoch=args.evaluate_every is None,
    )
    if not args.json:
        _show_plan(plan, found)
    with TrainingDisplay() as display:
        return finetune_prefer(plan, display)


def _resumed(args: argparse.Namespace) -> Outcome:
    folder = find_run(args.run, args.saved_models)
    folder.read()
    changes = changes_on_resume(args, add_arguments)
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        display.message(_("Loading Keras"))
        from kgpt.training.preferring import resume_prefer

        return resume_prefer(folder, changes, display)


# === What a person sees ===


def _show_plan(plan: PreferPlan, found: Preferences) -> None:
    print(_("{rows:,} rows with a prompt, a chosen and a rejected answer.", rows=found.rows))
    print_left_out(found.left_out)
    rows = [
        [
            _(name),
            number(len(pairs.kept), ","),
            number(sum(len(row.inputs) for row in pairs.rows), ","),
        ]
        for name, pairs in plan.task.pairs.items()
    ]
    headings = [_("part"), _("pairs"), _("tokens")]
    print_table(headings, rows, left=headings[:1])
    print(_("The model reads {longest:,} tokens of a conversation.", longest=plan.task.longest))
    if plan.dropped or plan.cut:
        print(
            _(
                "{cut:,} pairs lose an answer's end; {dropped:,} are left out by it.",
                cut=plan.cut,
                dropped=plan.dropped,
            )
        )
    if plan.added_tokens:
        print(
            _("New in the vocabulary: {added_tokens}.", added_tokens=", ".join(plan.added_tokens))
        )
    shown = [
        [_short(one.chosen.turns[-2].text), _short(one.chosen.answer), _short(one.rejected.answer)]
        for one in plan.task.parts["train"][:SHOWN_EXAMPLES]
    ]
    names = [_("prompt"), _("chosen"), _("rejected")]
    print_table(names, shown, left=names)


def _show_results(outcome: Outcome) -> None:
    name = outcome.training.run.name
    if outcome.results is None:
        print(
            _(
                "Stopped at step {steps}; everything is saved. Go on with: kgpt finetune prefer "
                "--run {name} --resume",
                steps=outcome.training.steps,
                name=name,
            )
        )
        return
    rows = [
        [
            _(part),
            number(figures["pairs"], ","),
            number(figures["loss"], ".4f"),
            number(figures["accuracy"], ".1%"),
        ]
        + [number(figures["prefers_chosen"], ".1%"), number(figures["base_prefers_chosen"], ".1%")]
        for part, figures in outcome.results.items()
        if part in ("validation", "test")
    ]
    print(_("{name}, step {step}:", name=name, step=outcome.results["step"]))
    headings = [
        _("part"),
        _("pairs"),
        _("loss"),
        _("gained more"),
        _("more probable"),
        _("with the base"),
    ]
    print_table(headings, rows, left=headings[:1])
    print(
        _("gained more: pairs whose chosen answer became more probable than the rejected one did.")
    )
    print(_("Next: kgpt chat {name}", name=name))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
