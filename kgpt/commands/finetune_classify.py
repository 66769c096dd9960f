"""Make a classifier from a base run and a file of labelled texts (TSV, CSV, JSONL, JSON, Parquet).

The file is split into training, validation and test part, label by label. The best checkpoint is the one of lowest
validation loss; the figures on the test part are its figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from kgpt.commands.stages import show_stage
from kgpt.config import OptimizerConfig, Precision, TrainConfig
from kgpt.config_values import from_dict, merged, nested, parse_override
from kgpt.errors import KgptError
from kgpt.finetune_config import TARGETS, ClassifyConfig, LoraConfig
from kgpt.runs import find_run, new_run

if TYPE_CHECKING:
    from kgpt.training.finetuning import Outcome

EXAMPLES = """examples:
  kgpt finetune classify demo --data sms.tsv --run spam
  kgpt finetune classify demo --data sms.tsv --run spam-small --lora-rank 8
  kgpt finetune classify demo --data reviews.csv --text-field review --label-field stars --run stars
  kgpt finetune classify --run spam --resume --epochs 20"""

DEFAULTS = TrainConfig(
    optimizer=OptimizerConfig(learning_rate=5e-4, warmup_steps=20, weight_decay=0.05),
    batch_size=32,
    epochs=10.0,
    early_stopping=3,
)
"""Where fine-tuning begins; the model is the base's."""
LORA_LEARNING_RATE = 3e-3
"""The default with adapters, which are few and start at zero."""
OPTIONS = {
    "data": "data",
    "run": "run",
    "steps": "steps",
    "epochs": "epochs",
    "minutes": "minutes",
    "batch_size": "batch_size",
    "learning_rate": "optimizer.learning_rate",
    "precision": "precision",
    "dropout": "model.dropout",
    "label_smoothing": "label_smoothing",
    "evaluate_every": "evaluate_every",
    "checkpoint_every": "checkpoint_every",
    "keep": "keep",
    "early_stopping": "early_stopping",
    "seed": "seed",
    "tensorboard": "tensorboard",
}
"""Command-line option and the configuration key it sets."""
ON_RESUME = ("steps", "epochs", "early_stopping", "keep", "tensorboard")
"""Options that a run which goes on can be given."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt finetune classify`."""
    parser.add_argument("base", nargs="?", metavar="BASE", help="a run that writes text")
    add = parser.add_argument
    add("--data", metavar="FILE", help="labelled texts: .tsv .csv .jsonl .json .parquet")
    add("--run", required=True, metavar="NAME", help="name of the new run")
    add("--checkpoint", default="best", metavar="best|last|STEP", help="of the base (best)")
    add("--resume", action="store_true", help="go on with --run from its last checkpoint")
    add = parser.add_argument_group("data").add_argument
    add("--text-field", metavar="NAME", help="field of the text (default: found)")
    add("--label-field", metavar="NAME", help="field of the label (default: found)")
    add(
        "--split",
        default="0.7,0.1,0.2",
        metavar="A,B,C",
        help="shares of training, validation and test part (%(default)s)",
    )
    add("--balance", action="store_true", help="leave out texts until all labels have as many")
    add(
        "--duplicates",
        choices=("drop", "keep"),
        default="drop",
        help="drop: of equal texts one stays, and none is in two parts; keep: all stay (%(default)s)",
    )
    add("--fold-case", action="store_true", help="take labels that differ by case for one")
    add("--on-error", choices=("stop", "skip"), default="stop", help="at broken rows (%(default)s)")
    add(
        "--max-length", type=int, default=0, metavar="N", help="tokens read of a text (the context)"
    )
    add = parser.add_argument_group("model").add_argument
    add("--pooling", choices=("last", "mean"), default="last", help="what the head reads (last)")
    add("--train-layers", default="all", metavar="head|last-N|all", help="what learns (all)")
    add("--head-dropout", type=float, default=0.0, metavar="X", help="before the head (0)")
    add("--class-weights", action="store_true", help="each label counts as much as each other")
    add("--lora-rank", type=int, default=0, metavar="N", help="train adapters of this rank (none)")
    add("--lora-alpha", type=float, metavar="X", help="their strength (twice the rank)")
    add("--lora-dropout", type=float, default=0.0, metavar="X", help="of their inputs (0)")
    add(
        "--lora-targets",
        default=",".join(TARGETS),
        metavar="NAMES",
        help="the matrices that get one (%(default)s)",
    )
    _training_options(parser.add_argument_group("training").add_argument)


def _training_options(add: Any) -> None:
    add("--epochs", type=float, metavar="X", help=f"passes over the data ({DEFAULTS.epochs:g})")
    add("--steps", type=int, metavar="N", help="updates, instead of epochs")
    add("--minutes", type=float, metavar="M", help="an upper bound of time")
    add("--batch-size", type=int, metavar="N", help=f"texts at once ({DEFAULTS.batch_size})")
    add("--learning-rate", type=float, metavar="X", help="peak (5e-4; 3e-3 with adapters)")
    add("--dropout", type=float, metavar="X", help="in the base's blocks (as the base has)")
    add("--label-smoothing", type=float, metavar="X", help="share of the target spread evenly (0)")
    add("--precision", choices=typing.get_args(Precision), help="of the matrix products")
    add("--evaluate-every", type=int, metavar="N", help="steps between evaluations (an epoch)")
    add("--checkpoint-every", type=int, metavar="N", help="steps between checkpoints (an epoch)")
    add("--keep", type=int, metavar="N", help="checkpoints kept beside the best one")
    add(
        "--early-stopping",
        type=int,
        metavar="N",
        help=f"end after N evaluations without a lower loss; 0 never ({DEFAULTS.early_stopping})",
    )
    add("--seed", type=int, metavar="N", help="of split, head, order and dropout")
    add("--tensorboard", action="store_true", default=None, help="write for TensorBoard too")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="any key of the training")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Show the data, train, show the figures."""
    from kgpt.commands.finetune_report import show_plan, show_results

    outcome = _resumed(args) if args.resume else None
    if outcome is None:
        if not args.base or not args.data:
            raise KgptError(
                "What shall learn what?",
                "Expected a base run and --data FILE.",
                "For example: kgpt finetune classify demo --data sms.tsv --run spam",
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
    lora = LoraConfig(
        rank=args.lora_rank,
        alpha=args.lora_alpha if args.lora_alpha is not None else 2.0 * max(1, args.lora_rank),
        dropout=args.lora_dropout,
        targets=tuple(name.strip() for name in args.lora_targets.split(",")),
    )
    return ClassifyConfig(
        pooling=args.pooling,
        head_dropout=args.head_dropout,
        max_length=args.max_length,
        train_layers=args.train_layers,
        lora=lora,
        class_weights=args.class_weights,
        balance=args.balance,
        duplicates=args.duplicates,
        shares=tuple(share.strip() for share in args.split.split(",")),
    )


def _given(args: argparse.Namespace) -> dict[str, Any]:
    options = {key: getattr(args, name) for name, key in OPTIONS.items()}
    tables = [nested(key, value) for key, value in options.items() if value is not None]
    return reduce(merged, [*tables, *map(parse_override, args.set)], {})


def _configuration(
    args: argparse.Namespace, model: Mapping[str, Any], lora: LoraConfig
) -> TrainConfig:
    """The defaults, with the base's model, and over them what was given."""
    given = _given(args)
    begin = DEFAULTS
    if lora.rank:
        faster = dataclasses.replace(begin.optimizer, learning_rate=LORA_LEARNING_RATE)
        begin = dataclasses.replace(begin, optimizer=faster)
    if given.get("steps") and not given.get("epochs"):
        begin = dataclasses.replace(begin, epochs=0.0)
    return from_dict(merged({"model": model}, given), begin)


def _new(args: argparse.Namespace, show_plan: Any) -> Outcome:
    new_run(args.run, args.saved_models)  # what is wrong is told before Keras loads
    settings = settings_of(args)
    base = find_run(args.base, args.saved_models)
    base.check_writes()
    checkpoint = base.checkpoint(args.checkpoint)
    config = _configuration(args, base.configuration()["model"], settings.lora)
    from kgpt.text.labelled import read_examples

    found = read_examples(
        args.data,
        args.text_field,
        args.label_field,
        drop_copies=args.duplicates == "drop",
        fold_case=args.fold_case,
        on_error=args.on_error,
    )
    from kgpt.commands.progress import TrainingDisplay

    show_stage("starting TensorFlow")
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
    _check_resumed(args)
    given = _given(args)
    given.pop("run", None)
    if "steps" in given:
        given["epochs"] = 0.0
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        display.message("Loading Keras")
        from kgpt.training.finetuning import resume_classifier

        return resume_classifier(folder, given, display)


def _check_resumed(args: argparse.Namespace) -> None:
    """Refuse what would be ignored."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    untouched = vars(parser.parse_args(["--run", args.run, "--resume"]))
    given = [name for name, value in untouched.items() if getattr(args, name) != value]
    refused = [name for name in given if name not in ON_RESUME]
    if refused:
        name = refused[0].replace("_", "-")
        what = f"The base {args.base}" if name == "base" else f"--{name}"
        raise KgptError(
            "A resumed run keeps its configuration",
            f"{what} cannot be given with --resume.",
            f"Possible are --{', --'.join(name.replace('_', '-') for name in ON_RESUME)}.",
        )
