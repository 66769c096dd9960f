"""Train a GPT on prepared text, or go on with a run that stopped.

Without options: the `demo` preset on the built-in encyclopedia, in about three minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import typing
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.tables import print_table
from kgpt.config import BUILT_IN_CORPUS, UNLIMITED_STEPS, Distribute, Precision, TrainConfig
from kgpt.config_values import dotted, from_dict, merged, nested, parse_override, read_config_file
from kgpt.errors import KgptError
from kgpt.presets import PRESETS, preset
from kgpt.runs import data_folder, find_data, find_run, new_run
from kgpt.training.processes import is_first_process, processes_asked_for

if TYPE_CHECKING:
    from kgpt.training.trainer import TrainResult

EXAMPLES = """examples:
  kgpt-train                                        the demo: an encyclopedia in Portuguese
  kgpt-train --data machado --run machado --minutes 15
  kgpt-train --data shakespeare --preset char-cpu --run chars --set model.dropout=0.1
  kgpt-train --run machado --resume                 go on after a stop or a crash
  kgpt-train --data machado --run search --steps 300 --sweep search.toml"""

OPTIONS = {
    "data": "data",
    "steps": "steps",
    "epochs": "epochs",
    "minutes": "minutes",
    "batch_size": "batch_size",
    "gradient_accumulation": "gradient_accumulation",
    "context_length": "model.context_length",
    "learning_rate": "optimizer.learning_rate",
    "precision": "precision",
    "optimizer": "optimizer.name",
    "evaluate_every": "evaluate_every",
    "checkpoint_every": "checkpoint_every",
    "keep": "keep",
    "early_stopping": "early_stopping",
    "seed": "seed",
    "distribute": "distribute",
    "tensorboard": "tensorboard",
    "run": "run",
}
"""Command-line option and the configuration key it sets."""

FIXED_ON_RESUME = (
    "model.",
    "seed",
    "batch_size",
    "gradient_accumulation",
    "optimizer.name",
    "optimizer.ema_decay",
)
"""Beginnings of the keys that a resumed run must keep, or it would be another run."""

NO_LIMIT = {"steps": UNLIMITED_STEPS, "epochs": 0.0, "minutes": 0.0}
"""The three ways to say when training ends, each at the value that leaves it to the other two."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt train`."""
    add = parser.add_argument
    add(
        "--data",
        metavar="DIR",
        help="folder made by `kgpt prepare`, or its name in data/ (default: encyclopedia, built in)",
    )
    add(
        "--run",
        metavar="NAME",
        help="name of the run, a folder in saved_models/ (default: the preset's name)",
    )
    add("--preset", metavar="NAME", help=f"starting point: {', '.join(PRESETS)} (default: demo)")
    add("--config", metavar="FILE", help="TOML file, or a run's run.json, over the preset")
    add(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any configuration key, such as model.num_layers=6",
    )
    add("--steps", type=int, metavar="N", help="train for N updates (not as long as the preset)")
    add("--epochs", type=float, metavar="X", help="train for X passes over the training text")
    add(
        "--minutes",
        type=float,
        metavar="M",
        help="train for M minutes; the steps are fixed when the first ones have been timed",
    )
    add("--batch-size", type=int, metavar="N", help="sequences worked on at once")
    add(
        "--gradient-accumulation",
        type=int,
        metavar="N",
        help="batches that one step learns from, in the memory of one",
    )
    add("--context-length", type=int, metavar="N", help="tokens that the model sees at once")
    add("--learning-rate", type=float, metavar="X", help="peak learning rate of AdamW")
    add(
        "--precision",
        choices=typing.get_args(Precision),
        help="of the matrix products; weights are float32 (default: float32 on a CPU, what is fast on a GPU)",
    )
    add("--optimizer", choices=("adamw", "muon"), help="muon: for the matrices inside the blocks")
    add(
        "--evaluate-every",
        type=int,
        metavar="N",
        help="steps between evaluations on the whole validation split",
    )
    add("--checkpoint-every", type=int, metavar="N", help="steps between checkpoints")
    add("--keep", type=int, metavar="N", help="checkpoints kept beside the best one")
    add(
        "--early-stopping",
        type=int,
        metavar="N",
        help="end after N evaluations without a lower validation loss",
    )
    add(
        "--distribute",
        choices=typing.get_args(Distribute),
        help="several devices for one run: mirrored (TensorFlow), data or model (JAX), auto: all GPUs there are"
        " (default: off)",
    )
    add("--seed", type=int, metavar="N", help="seed of weights, data order and dropout")
    add(
        "--tensorboard",
        action="store_true",
        default=None,
        help="write the metrics for TensorBoard too, into RUN/tensorboard",
    )
    add("--resume", action="store_true", help="go on with --run from its last checkpoint")
    add(
        "--sweep",
        metavar="FILE",
        help="TOML file with keys to search: trains NAME-001, NAME-002 ... and prints a table",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Train, show it, and say what to do next."""
    config = configuration(args)
    if args.sweep:
        return _sweep(config, args)
    if args.resume:
        done = _already_finished(config, args)
        if done is not None:
            return done
    elif is_first_process():
        # what is taken or missing is told before Keras loads
        new_run(config.run, args.saved_models)
        if config.data != BUILT_IN_CORPUS:
            from kgpt.text.shards import Corpus

            Corpus.open(find_data(config.data) or data_folder() / config.data)
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        display.message("Loading Keras")
        from kgpt.training.trainer import train

        result = train(config, saved_models=args.saved_models, resume=args.resume, reporter=display)
    if not args.json:
        _say_what_came_out(result)
    return {
        "run": str(result.run.path),
        "steps": result.steps,
        "validation_loss": result.validation_loss,
        "bits_per_byte": result.bits_per_byte,
        "seconds": round(result.seconds, 2),
        "tokens_per_second": result.tokens_per_second,
        "finished": result.finished,
        "exit_code": 0 if result.finished else 130,
    }


def _sweep(config: TrainConfig, args: argparse.Namespace) -> dict[str, Any]:
    from kgpt.commands.sweep import best_first, read_sweep, run_sweep

    if processes_asked_for()[0] > 1:
        raise KgptError(
            "A sweep is one process's work",
            "Several processes train one run; --sweep trains many.",
            "Leave the variables KERAS_DISTRIBUTION_... out.",
        )
    if args.resume:
        raise KgptError(
            "A sweep resumes by itself",
            "--sweep and --resume cannot be given together.",
            "The same command without --resume goes on with the trials that are not done.",
        )
    sweep = read_sweep(Path(args.sweep))
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        trials, is_done = run_sweep(sweep, config, args.saved_models, display)
    if not args.json:
        rows = [
            [
                trial.run,
                "-" if trial.loss is None else f"{trial.loss:.4f}",
                *map(_short, trial.values.values()),
            ]
            for trial in best_first(trials)
        ]
        print_table(["run", "best validation", *sweep.search], rows)
    return {
        "run": config.run,
        "trials": [dataclasses.asdict(trial) for trial in best_first(trials)],
        "finished": is_done,
        "exit_code": 0 if is_done else 130,
    }


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def configuration(args: argparse.Namespace) -> TrainConfig:
    """The configuration that the options ask for: preset, then file, then options, then --set."""
    given = _given(args)
    if args.resume:
        return _resumed_configuration(args, given)
    name = args.preset or "demo"
    in_file = read_config_file(Path(args.config)) if args.config else {}
    values = merged(_with_limits(in_file), _with_limits(given))
    return from_dict(values, dataclasses.replace(preset(name), run=name))


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Nested values of the options on the command line, then of --set."""
    options = {key: getattr(args, name) for name, key in OPTIONS.items()}
    tables = [nested(key, value) for key, value in options.items() if value is not None]
    return reduce(merged, [*tables, *map(parse_override, args.set)], {})


def _with_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """Where steps, epochs or minutes are given, they replace all three of what lies below, and what became of them."""
    none = {**NO_LIMIT, "step_changes": []}
    return {**none, **values} if any(values.get(key) for key in NO_LIMIT) else dict(values)


def _resumed_configuration(args: argparse.Namespace, given: dict[str, Any]) -> TrainConfig:
    if not args.run:
        raise KgptError(
            "Which run?",
            "--resume needs the run's name.",
            "For example: kgpt-train --run demo --resume",
        )
    if args.preset or args.config:
        raise KgptError(
            "A resumed run keeps its configuration",
            "--preset and --config cannot be given with --resume.",
            "Give single options, such as --steps 4000, or train a new --run NAME.",
        )
    folder = find_run(args.run, args.saved_models)
    before = from_dict({**folder.configuration(), "run": args.run})
    if given.get("minutes") and folder.read().get("steps_fixed_at"):
        raise KgptError(
            "The time budget is spent",
            f"{folder.name}'s minutes became {before.steps} steps when the first ones were timed.",
            "Give the steps that it shall have in all: --steps N.",
        )
    after = from_dict(_with_limits(given), before)
    fixed: tuple[str, ...] = FIXED_ON_RESUME
    about = folder.read()
    if about.get("source") and not about.get("data"):
        _check_has_data(folder.name, given)
        fixed = ("model.",)  # nothing else has been used yet
    _check_fixed_keys(folder.name, dotted(before), dotted(after), fixed)
    return after


def _check_has_data(name: str, given: Mapping[str, Any]) -> None:
    """An imported run knows of no text until it is trained for the first time."""
    if not given.get("data"):
        raise KgptError(
            "Nothing to train on",
            f"{name} was imported, and has not been trained here yet.",
            f"Say on what, and how long: kgpt-train --run {name} --resume --data DIR --steps N",
        )


def _check_fixed_keys(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any], fixed: tuple[str, ...]
) -> None:
    for key, old in before.items():
        if key.startswith(fixed) and old != after[key]:
            raise KgptError(
                "A resumed run keeps its configuration",
                f"{key} was {old!r} when {name} was started. Received: {after[key]!r}",
                "Leave the option out, or train a new --run NAME.",
            )


def _already_finished(config: TrainConfig, args: argparse.Namespace) -> dict[str, Any] | None:
    folder = find_run(config.run, args.saved_models)
    status = folder.status()
    before = folder.configuration()
    is_early = bool(status.get("early")) and config.early_stopping == before.get("early_stopping")
    if status["state"] != "finished" or not (is_early or (status.get("step") or 0) >= config.steps):
        return None
    if not args.json and is_early:
        print(
            f"{folder.path} stopped early, at step {status['step']}. Go on with --early-stopping 0."
        )
    elif not args.json:
        print(f"{folder.path} has finished all its {config.steps} steps. Give more with --steps N.")
    rows = folder.metrics()

    def latest(key: str) -> Any:
        return next((row[key] for row in reversed(rows) if row.get(key) is not None), None)

    return {
        "run": str(folder.path),
        "steps": status["step"],
        "validation_loss": latest("validation_loss"),
        "bits_per_byte": latest("bits_per_byte"),
        "seconds": latest("seconds"),
        "tokens_per_second": latest("tokens_per_second"),
        "finished": True,
    }


def _say_what_came_out(result: TrainResult) -> None:
    from kgpt.commands.progress import loss_curve

    curve = loss_curve(result.run.metrics())
    if curve and sys.stdout.isatty():
        print(curve)
    name = result.run.name
    if result.validation_loss is not None:
        bits = (
            f", {result.bits_per_byte:.3f} bits per byte"
            if result.bits_per_byte is not None
            else ""
        )
        print(
            f"{name}: validation loss {result.validation_loss:.4f}{bits} after {result.steps} steps."
        )
    if result.finished:
        print(
            f'Next: kgpt sample {name} "your prompt"   ·   kgpt evaluate {name}   ·   kgpt-workbench'
        )
    else:
        print(
            f"Stopped at step {result.steps}; everything is saved. Go on with: kgpt-train --run {name} --resume"
        )
