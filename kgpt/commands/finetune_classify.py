"""Make a classifier from a base run and a file of labelled texts (TSV, CSV, JSONL, JSON, Parquet).

The file is split into training, validation and test part, label by label. The best checkpoint is the one of lowest
validation loss; the figures on the test part are its figures.
"""

from __future__ import annotations

import argparse
import typing
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
from kgpt.config import OptimizerConfig, TrainConfig
from kgpt.errors import KgptError
from kgpt.finetune_config import ClassifyConfig, Pooling
from kgpt.language import N_, _
from kgpt.runs import find_run, new_run

if TYPE_CHECKING:
    from kgpt.training.finetuned import Outcome

EXAMPLES = N_(
    "examples:\n"
    "  kgpt finetune classify demo --data sms.tsv --run spam\n"
    "  kgpt finetune classify demo --data sms.tsv --run spam-small --lora-rank 8\n"
    "  kgpt finetune classify demo --data reviews.csv --text-field review --label-field "
    "stars --run stars\n"
    "  kgpt finetune classify --run spam --resume --epochs 20"
)

DEFAULTS = TrainConfig(
    optimizer=OptimizerConfig(learning_rate=5e-4, warmup_steps=20, weight_decay=0.05),
    batch_size=32,
    epochs=10.0,
    early_stopping=3,
)
"""Where fine-tuning begins; the model is the base's."""
LORA_LEARNING_RATE = 3e-3
"""The default with adapters, which are few and start at zero."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt finetune classify`."""
    add_run_options(parser, _("labelled texts: .tsv .csv .jsonl .json .parquet"))
    add = parser.add_argument_group(_("data")).add_argument
    add("--text-field", metavar="NAME", help=_("field of the text (default: found)"))
    add("--label-field", metavar="NAME", help=_("field of the label (default: found)"))
    add_data_options(add, "0.7,0.1,0.2")
    add("--balance", action="store_true", help=_("leave out texts until all labels have as many"))
    add(
        "--duplicates",
        choices=("drop", "keep"),
        default="drop",
        help=_(
            "drop: of equal texts one stays, and none is in two parts; keep: all stay (%(default)s)"
        ),
    )
    add("--fold-case", action="store_true", help=_("take labels that differ by case for one"))
    add(
        "--max-length",
        type=int,
        default=0,
        metavar="N",
        help=_("tokens read of a text (the context)"),
    )
    add(
        "--clean",
        default="",
        metavar="STEP,...",
        help=_(
            "how each text is cleaned before it is read, now and later, as its base's text was:"
            " lower, digits (each becomes 0), nfc, phones, ...; see kgpt prepare --help (not at all)"
        ),
    )
    add = parser.add_argument_group(_("model")).add_argument
    add(
        "--pooling",
        choices=typing.get_args(Pooling),
        default="last",
        help=_(
            "what the head reads of the tokens' vectors; sum: over the square root of the length (last)"
        ),
    )
    add("--train-layers", default="all", metavar="head|last-N|all", help=_("what learns (all)"))
    add("--head-dropout", type=float, default=0.0, metavar="X", help=_("before the head (0)"))
    add(
        "--token-dropout",
        type=float,
        default=0.0,
        metavar="X",
        help=_("share of each text's tokens that training leaves out, others each time (0)"),
    )
    add("--class-weights", action="store_true", help=_("each label counts as much as each other"))
    add_lora_options(add)
    add = parser.add_argument_group(_("training")).add_argument
    add_training_options(add, DEFAULTS, LORA_LEARNING_RATE, _("texts at once"))


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Show the data, train, show the figures."""
    from kgpt.commands.finetune_report import show_plan, show_results

    outcome = _resumed(args) if args.resume else None
    if outcome is None:
        if not args.base or not args.data:
            raise KgptError(
                _("What shall learn what?"),
                _("Expected a base run and --data FILE."),
                _("For example: kgpt finetune classify demo --data sms.tsv --run spam"),
            )
        outcome = _new(args, show_plan)
    result, results = outcome.training, outcome.results
    if not args.json:
        show_results(result, results)
    return {
        "run": str(result.run.path),
        "steps": result.steps,
        "validation_loss": result.validation_loss,
        "seconds": round(result.seconds, 2),
        "finished": result.finished,
        **(results or {}),
        "exit_code": 0 if result.finished else 130,
    }


def settings_of(args: argparse.Namespace) -> ClassifyConfig:
    """The classifier that the options ask for."""
    return ClassifyConfig(
        pooling=args.pooling,
        head_dropout=args.head_dropout,
        token_dropout=args.token_dropout,
        max_length=args.max_length,
        clean=tuple(step.strip() for step in args.clean.split(",") if step.strip()),
        train_layers=args.train_layers,
        lora=lora_of(args),
        class_weights=args.class_weights,
        balance=args.balance,
        duplicates=args.duplicates,
        shares=shares_of(args),
    )


def _new(args: argparse.Namespace, show_plan: Any) -> Outcome:
    new_run(args.run, args.saved_models)  # what is wrong is told before Keras loads
    settings = settings_of(args)
    base = find_run(args.base, args.saved_models)
    base.check_writes()
    checkpoint = base.checkpoint(args.checkpoint)
    model = base.configuration()["model"]
    config = configuration(args, model, DEFAULTS, settings.lora, LORA_LEARNING_RATE)
    from kgpt.text.cleaning import Cleaner
    from kgpt.text.labelled import read_examples

    Cleaner.of_changes(settings.clean)
    found = read_examples(
        args.data,
        args.text_field,
        args.label_field,
        drop_copies=args.duplicates == "drop",
        fold_case=args.fold_case,
        on_error=args.on_error,
    )
    from kgpt.commands.progress import TrainingDisplay

    show_stage(_("starting TensorFlow"))
    from kgpt.training.finetuning import finetune_classifier, plan_classifier

    plan = plan_classifier(
        base, checkpoint, found, config, settings, args.saved_models,
        every_epoch=args.evaluate_every is None,
    )  # fmt: skip
    if not args.json:
        show_plan(plan, found)
    with TrainingDisplay() as display:
        return finetune_classifier(plan, display)


def _resumed(args: argparse.Namespace) -> Outcome:
    folder = find_run(args.run, args.saved_models)
    folder.check_labels()
    changes = changes_on_resume(args, add_arguments)
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        display.message(_("Loading Keras"))
        from kgpt.training.finetuning import resume_classifier

        return resume_classifier(folder, changes, display)
