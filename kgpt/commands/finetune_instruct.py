"""Teach a base run to answer, from a file of instructions, of questions and answers, or of conversations.

Fields are Alpaca's (instruction, input, output), question and answer, ShareGPT's conversations or OpenAI's messages;
their Portuguese names too. `--data encyclopedia` are the built-in questions about what the demo has read. The loss is
that of the answers; the best checkpoint is the one where it is lowest on the validation part.
"""

from __future__ import annotations

import argparse
import os
import typing
from pathlib import Path
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
from kgpt.finetune_config import InstructConfig, Learns
from kgpt.language import N_, _
from kgpt.runs import RunFolder, data_folder, find_run, new_run

if TYPE_CHECKING:
    from kgpt.text.conversations import Conversations
    from kgpt.training.finetuned import Outcome

EXAMPLES = N_(
    "examples:\n"
    "  kgpt finetune instruct demo --data encyclopedia --run assistente\n"
    "  kgpt finetune instruct demo --data alpaca.json --run assistente --lora-rank 8\n"
    "  kgpt finetune instruct gpt2 --data alpaca.json --run alpaca --template alpaca\n"
    "  kgpt finetune instruct --run assistente --resume --epochs 20"
)

BUILT_IN = "encyclopedia"
DEFAULTS = TrainConfig(
    optimizer=OptimizerConfig(learning_rate=5e-4, warmup_steps=20, weight_decay=0.05),
    batch_size=8,
    epochs=8.0,
    early_stopping=3,
)
"""Where fine-tuning begins; the model is the base's."""
LORA_LEARNING_RATE = 3e-3
"""The default with adapters, which are few and start at zero."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt finetune instruct`."""
    add_run_options(parser, _("conversations: .jsonl .json .csv .tsv .parquet, or encyclopedia"))
    add = parser.add_argument_group(_("data")).add_argument
    add("--question-field", metavar="NAME", help=_("field of what is asked (default: found)"))
    add("--input-field", metavar="NAME", help=_("field of what it is about (default: found)"))
    add("--answer-field", metavar="NAME", help=_("field of the answer (default: found)"))
    add_data_options(add, "0.85,0.05,0.1")
    add(
        "--template",
        default="chat",
        metavar="NAME|FILE",
        help=_("how conversations are written down: chat, alpaca, alpaca-pt or a TOML file (chat)"),
    )
    add("--max-length", type=int, default=0, metavar="N", help=_("tokens of a conversation"))
    add(
        "--learn",
        choices=typing.get_args(Learns),
        default="answers",
        help=_("what counts in the loss (%(default)s)"),
    )
    add("--no-packing", action="store_true", help=_("a row for each conversation"))
    add_lora_options(parser.add_argument_group(_("model")).add_argument)
    add = parser.add_argument_group(_("training")).add_argument
    add_training_options(add, DEFAULTS, LORA_LEARNING_RATE, _("rows at once"))
    add = parser.add_argument_group(_("figures")).add_argument
    add(
        "--answered",
        type=int,
        default=200,
        metavar="N",
        help=_("test conversations answered and compared after training (%(default)s)"),
    )
    add(
        "--forgetting",
        nargs="?",
        const="",
        metavar="DIR",
        help=_("measure the loss on the base's own data (or DIR) before and after"),
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Show the data, train, show the figures."""
    from kgpt.commands.instruct_report import show_results

    outcome = _resumed(args) if args.resume else _new(args)
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


def _new(args: argparse.Namespace) -> Outcome:
    if not args.base or not args.data:
        raise KgptError(
            _("What shall learn what?"),
            _("Expected a base run and --data FILE."),
            _("For example: kgpt finetune instruct demo --data encyclopedia --run assistente"),
        )
    new_run(args.run, args.saved_models)  # what is wrong is told before Keras loads
    base = find_run(args.base, args.saved_models)
    base.check_writes()
    checkpoint = base.checkpoint(args.checkpoint)
    settings = _settings(args, base)
    model = base.configuration()["model"]
    config = configuration(args, model, DEFAULTS, settings.lora, LORA_LEARNING_RATE)
    from kgpt.text.templates import find_template

    template = find_template(args.template)
    found = _read(args)
    from kgpt.commands.instruct_report import show_plan
    from kgpt.commands.progress import TrainingDisplay

    show_stage(_("starting TensorFlow"))
    from kgpt.text.encyclopedia_conversations import question_parts
    from kgpt.training.instructing import conversation_parts, finetune_instruct, plan_instruct

    parts = (
        conversation_parts(found.conversations, settings.split, config.seed)
        if found
        else question_parts(config.seed)
    )
    source = os.path.abspath(args.data) if found else BUILT_IN
    plan = plan_instruct(
        base,
        checkpoint,
        parts,
        source,
        template,
        config,
        settings,
        args.saved_models,
        every_epoch=args.evaluate_every is None,
    )
    if not args.json:
        show_plan(plan, found)
    with TrainingDisplay() as display:
        return finetune_instruct(plan, display)


def _read(args: argparse.Namespace) -> Conversations | None:
    """What the file holds; None for the built-in questions."""
    if args.data == BUILT_IN and not Path(args.data).exists():
        return None
    from kgpt.text.conversations import FieldNames, read_conversations

    names = FieldNames(args.question_field, args.input_field, args.answer_field)
    return read_conversations(args.data, names, on_error=args.on_error)


def _settings(args: argparse.Namespace, base: RunFolder) -> InstructConfig:
    return InstructConfig(
        learns=args.learn,
        packing=not args.no_packing,
        max_length=args.max_length,
        lora=lora_of(args),
        shares=shares_of(args),
        answered=args.answered,
        forgetting="" if args.forgetting is None else _corpus(args.forgetting, base),
    )


def _corpus(given: str, base: RunFolder) -> str:
    """The folder of prepared data whose validation split is measured."""
    data = base.read().get("data") or {}
    places = [Path(given), data_folder() / given] if given else [Path(str(data.get("path")))]
    found = next((path for path in places if (path / "manifest.json").is_file()), None)
    if found is None:
        raise KgptError(
            _("No data to compare with"),
            _("There is no prepared data in {places}.", places=places[0])
            if given or data.get("path")
            else _("Run {name} does not say what it was trained on.", name=base.name),
            _("Name them: --forgetting DIR."),
        )
    return os.path.abspath(found)


def _resumed(args: argparse.Namespace) -> Outcome:
    folder = find_run(args.run, args.saved_models)
    folder.check_answers()
    changes = changes_on_resume(args, add_arguments)
    from kgpt.commands.progress import TrainingDisplay

    with TrainingDisplay() as display:
        display.message(_("Loading Keras"))
        from kgpt.training.instructing import resume_instruct

        return resume_instruct(folder, changes, display)
