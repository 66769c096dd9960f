"""The options that all kinds of fine-tuning share: adapters, training, going on. Nothing here loads Keras."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from kgpt.config import Precision, TrainConfig
from kgpt.config_values import from_dict, merged, nested, parse_override
from kgpt.errors import KgptError
from kgpt.finetune_config import TARGETS, LoraConfig
from kgpt.language import _

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


def add_run_options(parser: argparse.ArgumentParser, data_help: str) -> None:
    """Base, data and the new run."""
    parser.add_argument("base", nargs="?", metavar="BASE", help=_("a run that writes text"))
    add = parser.add_argument
    add("--data", metavar="FILE", help=data_help)
    add("--run", required=True, metavar="NAME", help=_("name of the new run"))
    add("--checkpoint", default="best", metavar="best|last|STEP", help=_("of the base (best)"))
    add("--resume", action="store_true", help=_("go on with --run from its last checkpoint"))


def add_data_options(add: Any, split: str) -> None:
    """How the file is read and split."""
    add(
        "--split",
        default=split,
        metavar="A,B,C",
        help=_("shares of training, validation and test part (%(default)s)"),
    )
    add(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help=_("at broken rows (%(default)s)"),
    )


def add_lora_options(add: Any) -> None:
    """Adapters."""
    add(
        "--lora-rank",
        type=int,
        default=0,
        metavar="N",
        help=_("train adapters of this rank (none)"),
    )
    add("--lora-alpha", type=float, metavar="X", help=_("their strength (twice the rank)"))
    add("--lora-dropout", type=float, default=0.0, metavar="X", help=_("of their inputs (0)"))
    add(
        "--lora-targets",
        default=",".join(TARGETS),
        metavar="NAMES",
        help=_("the matrices that get one (%(default)s)"),
    )


def add_training_options(add: Any, defaults: TrainConfig, lora_rate: float, rows: str) -> None:
    """The training; `rows` says what a batch has."""
    rate = defaults.optimizer.learning_rate
    add(
        "--epochs",
        type=float,
        metavar="X",
        help=_("passes over the data ({epochs})", epochs=f"{defaults.epochs:g}"),
    )
    add("--steps", type=int, metavar="N", help=_("updates, instead of epochs"))
    add("--minutes", type=float, metavar="M", help=_("an upper bound of time"))
    add("--batch-size", type=int, metavar="N", help=f"{rows} ({defaults.batch_size})")
    add(
        "--learning-rate",
        type=float,
        metavar="X",
        help=_(
            "peak ({rate}; {lora_rate} with adapters)",
            rate=f"{rate:g}",
            lora_rate=f"{lora_rate:g}",
        ),
    )
    add("--dropout", type=float, metavar="X", help=_("in the base's blocks (as the base has)"))
    add(
        "--label-smoothing",
        type=float,
        metavar="X",
        help=_("share of the target spread evenly (0)"),
    )
    add("--precision", choices=typing.get_args(Precision), help=_("of the matrix products"))
    add("--evaluate-every", type=int, metavar="N", help=_("steps between evaluations (an epoch)"))
    add("--checkpoint-every", type=int, metavar="N", help=_("steps between checkpoints (an epoch)"))
    add("--keep", type=int, metavar="N", help=_("checkpoints kept beside the best one"))
    add(
        "--early-stopping",
        type=int,
        metavar="N",
        help=_(
            "end after N evaluations without a lower loss; 0 never ({early_stopping})",
            early_stopping=defaults.early_stopping,
        ),
    )
    add(
        "--seed",
        type=int,
        metavar="N",
        help=_("of split, order, dropout and what begins at random"),
    )
    add("--tensorboard", action="store_true", default=None, help=_("write for TensorBoard too"))
    add(
        "--set", metavar="KEY=VALUE", action="append", default=[], help=_("any key of the training")
    )


def lora_of(args: argparse.Namespace) -> LoraConfig:
    """The adapters that were asked for."""
    return LoraConfig(
        rank=args.lora_rank,
        alpha=args.lora_alpha if args.lora_alpha is not None else 2.0 * max(1, args.lora_rank),
        dropout=args.lora_dropout,
        targets=tuple(name.strip() for name in args.lora_targets.split(",")),
    )


def shares_of(args: argparse.Namespace) -> tuple[str, ...]:
    """The shares of the parts."""
    return tuple(share.strip() for share in args.split.split(","))


def configuration(
    args: argparse.Namespace,
    model: Mapping[str, Any],
    defaults: TrainConfig,
    lora: LoraConfig,
    lora_rate: float,
) -> TrainConfig:
    """The defaults, with the base's model, and over them what was given."""
    given = _given(args)
    if lora.rank:
        faster = dataclasses.replace(defaults.optimizer, learning_rate=lora_rate)
        defaults = dataclasses.replace(defaults, optimizer=faster)
    if given.get("steps") and not given.get("epochs"):
        defaults = dataclasses.replace(defaults, epochs=0.0)
    return from_dict(merged({"model": model}, given), defaults)


def changes_on_resume(
    args: argparse.Namespace, add_arguments: Callable[[argparse.ArgumentParser], None]
) -> dict[str, Any]:
    """What a resumed run is asked to change; `add_arguments` declares what the command takes.

    Raises:
        KgptError: something that would be ignored was given: a base, or an option that only a new run can have.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    untouched = vars(parser.parse_args(["--run", args.run, "--resume"]))
    given = [name for name, value in untouched.items() if getattr(args, name) != value]
    refused = [name for name in given if name not in ON_RESUME]
    if refused:
        name = refused[0].replace("_", "-")
        what = _("The base {base}", base=args.base) if name == "base" else f"--{name}"
        raise KgptError(
            _("A resumed run keeps its configuration"),
            _("{what} cannot be given with --resume.", what=what),
            _(
                "Possible are --{on_resume}.",
                on_resume=", --".join(name.replace("_", "-") for name in ON_RESUME),
            ),
        )
    changes = _given(args)
    changes.pop("run", None)
    if "steps" in changes:
        changes["epochs"] = 0.0
    return changes


def _given(args: argparse.Namespace) -> dict[str, Any]:
    options = {key: getattr(args, name) for name, key in OPTIONS.items()}
    tables = [nested(key, value) for key, value in options.items() if value is not None]
    return reduce(merged, [*tables, *map(parse_override, args.set)], {})
