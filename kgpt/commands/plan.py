"""Say what a training run takes before it starts: parameters, memory by part, time and disk; and whether it fits.

It takes the options of `kgpt train` and trains nothing. With --device it plans on paper, for accelerators that need
not be here: how to spread the run over them, and what that takes in memory, hours, energy and money.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from kgpt.commands import train
from kgpt.config import BUILT_IN_CORPUS, BUILT_IN_VOCABULARY_SIZE, TrainConfig
from kgpt.errors import KgptError
from kgpt.files import read_json
from kgpt.language import N_, _
from kgpt.runs import find_data
from kgpt.training.machine import parse_bytes, parse_count

EXAMPLES = N_(
    "examples:\n"
    "  kgpt plan --preset gpt2-124m --batch-size 4\n"
    "  kgpt plan --data machado --minutes 15 --memory 8GB     does it fit into another "
    "machine?\n"
    "  kgpt plan --preset char-gpu --measure                  train a few steps and say "
    "what they took\n"
    "  kgpt plan --preset gpt2-1558m --tokens 300e9 --devices 64 --device h100"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt plan`: those of `kgpt train`, and its own."""
    train.add_arguments(parser)
    own = parser.add_argument_group(_("planning"))
    add = own.add_argument
    add(
        "--memory",
        metavar="SIZE",
        help=_("plan for so much memory, such as 8GB (default: what is free here)"),
    )
    add(
        "--measure",
        action="store_true",
        help=_("train a few steps in a process of its own and use what they took"),
    )
    add(
        "--tokens",
        metavar="N",
        help=_("train on N tokens, such as 300e9 or 300B (in place of --steps)"),
    )
    add("--device", metavar="NAME", help=_("plan on paper for an accelerator, such as h100"))
    add("--devices", type=int, metavar="N", help=_("so many of them (default: 1)"))
    add(
        "--batch-tokens",
        metavar="N",
        help=_("tokens an update, over all devices (default: 524288)"),
    )
    add(
        "--assumptions",
        metavar="FILE",
        help=_("TOML file with assumptions and devices of your own"),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Plan, and print the plan."""
    tokens = parse_count(args.tokens) if args.tokens else None
    config, source = planned_configuration(args)
    if args.device is not None:
        return _on_paper(args, config, tokens)
    _refuse(args, ("devices", "assumptions", "batch_tokens"), _("goes with --device NAME."))
    return _here(args, config, source, tokens)


def planned_configuration(args: argparse.Namespace) -> tuple[TrainConfig, str]:
    """The configuration that would be trained, and where its vocabulary comes from.

    Training takes the vocabulary from its data. Where the options name neither data nor vocabulary, GPT-2's presets
    keep GPT-2's, and all others get that of the built-in encyclopedia.
    """
    config = train.configuration(args)
    if args.resume:
        return config, _("the run's")
    if any(text.replace(" ", "").startswith("model.vocabulary_size=") for text in args.set):
        return config, _("as given")
    found = find_data(config.data)
    size = read_json(found / "manifest.json").get("vocabulary_size") if found else None
    names_data = config.data != BUILT_IN_CORPUS
    if names_data and not size:
        raise KgptError(
            _("No prepared data"),
            _("There is no prepared corpus at {data}.", data=config.data),
            _(
                "Prepare it with `kgpt prepare`, or give the vocabulary: --set "
                "model.vocabulary_size=8192"
            ),
        )
    if not names_data and (args.preset or "").startswith("gpt2-"):
        return config, _("GPT-2's; --data DIR has its own")
    size = size or BUILT_IN_VOCABULARY_SIZE
    model = dataclasses.replace(config.model, vocabulary_size=size)
    return dataclasses.replace(config, model=model), _("that of {data}", data=config.data)


def _here(
    args: argparse.Namespace, config: TrainConfig, source: str, tokens: int | None
) -> dict[str, Any]:
    from kgpt.commands.plan_facts import here
    from kgpt.commands.plan_report import print_here
    from kgpt.training.machine import matrix_product_rate, this_machine
    from kgpt.training.planning import computed_time, measured_time, with_precision

    if tokens is None and config.epochs:
        tokens = _tokens_of_epochs(config)
    machine = this_machine(parse_bytes(args.memory) if args.memory else None)
    config = with_precision(config, machine)
    if args.measure:
        from kgpt.training.trial import try_out

        trial = try_out(config)
        time = measured_time(config, trial.matrix_flops, trial.step_seconds, tokens=tokens)
    else:
        trial = None
        time = computed_time(config, matrix_product_rate(), tokens=tokens)
    data = _data_bytes(config)
    plan = here(config, machine, time, data, source, trial)
    if not args.json:
        print_here(plan)
    return plan


def _on_paper(args: argparse.Namespace, config: TrainConfig, tokens: int | None) -> dict[str, Any]:
    from kgpt.commands.plan_facts import on_paper
    from kgpt.commands.plan_report import print_on_paper
    from kgpt.training.devices import read_assumptions
    from kgpt.training.layout import Task

    _refuse(args, ("memory", "measure"), _("is for this machine; --device plans on paper."))
    count = 1 if args.devices is None else args.devices
    if not 1 <= count <= 10**6:
        message = _("--devices must be from 1 to 1,000,000. Received: {count}", count=count)
        raise KgptError(_("Bad number of devices"), message, _("For example: --devices 64"))
    own = Path(args.assumptions) if args.assumptions else None
    device, assumed = read_assumptions(args.device, own)
    if config.precision == "auto":
        config = dataclasses.replace(config, precision=device.best_precision)
    if args.batch_tokens:
        assumed = dataclasses.replace(assumed, batch_tokens=parse_count(args.batch_tokens))
    tokens = tokens or config.steps * config.tokens_per_step
    task = Task(config=config, tokens=tokens, devices=count, device=device, assumed=assumed)
    plan = on_paper(task)
    if not args.json:
        print_on_paper(plan)
    return plan


def _refuse(args: argparse.Namespace, names: tuple[str, ...], reason: str) -> None:
    for name in names:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise KgptError(_("Options that do not go together"), f"{option} {reason}", "")


def _data_bytes(config: TrainConfig) -> int:
    """Bytes of the prepared corpus' tokens; 0 if it is not prepared yet."""
    folder = find_data(config.data)
    return sum(path.stat().st_size for path in folder.glob("*.bin")) if folder else 0


def _tokens_of_epochs(config: TrainConfig) -> int:
    folder = find_data(config.data)
    if folder is None:
        raise KgptError(
            _("No prepared data"),
            _(
                "How long {epochs:g} epochs are depends on the data, and {data} is not prepared.",
                epochs=config.epochs,
                data=config.data,
            ),
            _("Prepare it with `kgpt prepare`, or give --tokens or --steps."),
        )
    train_tokens = int(read_json(folder / "manifest.json")["train_tokens"])
    return max(1, round(config.epochs * train_tokens))
