"""Measure runs: loss, perplexity and bits per byte of a text, tests by name, or how they write.

By default on the validation split of the data that the run was trained on. Several runs are compared. Results are kept
in each run's evaluations.jsonl.

Tests: lambada, blimp, hellaswag, piqa, arc-easy, arc-challenge, enem, calame-pt, and choices (any JSONL of context,
choices, answer) are scored by log-likelihood, from --file or the Hugging Face Hub; harness:NAME,... runs tasks of
lm-eval; encyclopedia and completion compare greedy text with answers; writing measures samples, judge has a language
model score them.
"""

from __future__ import annotations

import argparse
import datetime
from typing import Any

from kgpt.errors import KgptError
from kgpt.files import append_json_line
from kgpt.language import N_, _
from kgpt.protocol import DECODERS
from kgpt.runs import find_run
from kgpt.suggestions import did_you_mean

RECALL_TASKS = ("encyclopedia", "completion")
QUESTION_TASKS = (
    "lambada", "blimp", "hellaswag", "piqa", "arc-easy", "arc-challenge", "enem", "calame-pt", "choices",
)  # fmt: skip
WRITING_TASKS = ("writing", "judge")
TASKS = (*RECALL_TASKS, *QUESTION_TASKS, *WRITING_TASKS)
HARNESS = "harness:"

EXAMPLES = N_(
    "examples:\n"
    "  kgpt evaluate demo\n"
    "  kgpt evaluate demo machado --text book.txt         compare two runs on one text, "
    "by bits per byte\n"
    "  kgpt evaluate demo --text book.txt --stride 64     every token after at least "
    "context - 64 others\n"
    "  kgpt evaluate demo --decoder litert-int8           what the smaller weights cost\n"
    "  kgpt evaluate demo --task encyclopedia             facts asked for in phrasings "
    "that training never used\n"
    '  kgpt evaluate demo --task completion --file mine.jsonl   lines of {"prompt": '
    '..., "answer": ...}\n'
    '  kgpt evaluate demo --task choices --file mine.jsonl      lines of {"context": '
    '..., "choices": [...], "answer": 0}\n'
    "  kgpt evaluate gpt2 --task lambada --file lambada_test.jsonl\n"
    "  kgpt evaluate gpt2 --task blimp --file BLiMP.zip --limit 100\n"
    "  kgpt evaluate gpt2 --task harness:hellaswag,winogrande\n"
    "  kgpt evaluate demo --task writing                  distinct words, repetition, "
    "perplexity of its own samples\n"
    "  kgpt evaluate demo --task judge --judge-url http://127.0.0.1:11434/v1 "
    "--judge-model llama3"
)

Options = dict[str, tuple[str, ...]]
_WITH: Options = {
    "context": ("",),
    "stride": ("",),
    "file": ("completion", *QUESTION_TASKS, *WRITING_TASKS, HARNESS),
    "limit": (*QUESTION_TASKS, HARNESS),
    "num_samples": WRITING_TASKS,
    "max_tokens": WRITING_TASKS,
    "temperature": WRITING_TASKS,
    "seed": WRITING_TASKS,
    "judge_url": ("judge",),
    "judge_model": ("judge",),
    "judge_timeout": ("judge",),
    "rubric": ("judge",),
}
"""The tasks that take an option; the empty one is a loss."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt evaluate`."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help=_("name under saved_models/, or a path"))
    add("--data", metavar="DIR", help=_("prepared folder whose validation split is measured"))
    add("--text", metavar="FILE", help=_("UTF-8 text file to measure instead"))
    add("--task", metavar="NAME", help=_("a test by name instead of a loss: see above"))
    add(
        "--file",
        metavar="FILE",
        help=_(
            "the test's data: JSONL, JSON, Parquet, zip, a folder or hf:NAME[:CONFIG[:SPLIT]]; "
            "prompts for writing and judge; a folder of tasks for harness"
        ),
    )
    add("--limit", type=_positive, metavar="N", help=_("questions at most, of each subset"))
    add(
        "--context",
        type=_positive,
        metavar="N",
        help=_("tokens the model sees at once (default: its context)"),
    )
    add(
        "--stride",
        type=_positive,
        metavar="N",
        help=_("tokens scored in each window (default: all)"),
    )
    add("--checkpoint", default="best", metavar="best|last|STEP", help=_("default: best"))
    add(
        "--decoder",
        choices=DECODERS,
        help=_(
            "what computes, as `kgpt sample` would (default: for what writes auto, else Keras, "
            "whole texts at once)"
        ),
    )
    writing = parser.add_argument_group(_("writing and judge"))
    add = writing.add_argument
    add("--num-samples", type=_positive, metavar="N", help=_("samples in all (default: 32)"))
    add(
        "--max-tokens",
        type=_positive,
        metavar="N",
        help=_("tokens of a sample at most (default: 100)"),
    )
    add("--temperature", type=float, metavar="X", help=_("default: 1"))
    add(
        "--seed",
        type=int,
        metavar="N",
        help=_("of the first sample; the others follow (default: 1)"),
    )
    add("--judge-url", metavar="URL", help=_("address of the judge's API, up to /v1"))
    add("--judge-model", metavar="NAME", help=_("model that judges"))
    add("--judge-timeout", type=float, metavar="S", help=_("seconds for a reply (default: 60)"))
    add("--rubric", metavar="FILE", help=_("what a good text is, for the judge"))


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(_("must be 1 or more"))
    return value


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each run, print tables, keep the results."""
    _check(args)
    from kgpt.commands import evaluate_tables as tables
    from kgpt.commands.measures import measure_of

    folders = [find_run(name, args.saved_models) for name in args.runs]
    for folder in folders:
        folder.check_writes()
        if folder.is_finetuned and not (args.data or args.text or args.task):
            raise KgptError(
                _("Measure what?"),
                _(
                    "Run {name} was fine-tuned; figures on its own test part are in {results_file}.",
                    name=folder.name,
                    results_file=folder.results_file,
                ),
                _("Give a text, prepared data or a task: --text FILE, --data DIR or --task NAME."),
            )
    chosen = [(folder, folder.checkpoint(args.checkpoint)) for folder in folders]
    measure, measured = measure_of(args), []
    for folder, checkpoint in chosen:
        found = measure(folder, checkpoint)
        found.values = {"run": folder.name, "step": checkpoint.step, **found.values}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append_json_line(folder.evaluations_file, {"time": now, **found.values})
        measured.append(found)
    results = [item.values for item in measured]
    compared = tables.comparison(measured)
    if not args.json:
        tables.print_results(measured)
        tables.print_comparison(measured, compared)
    if len(results) == 1:
        return results[0]
    return {"evaluations": results, "comparison": compared}


def kind_of(task: str | None) -> str:
    """The task as the table of options knows it; empty for a loss."""
    return HARNESS if (task or "").startswith(HARNESS) else task or ""


def _check(args: argparse.Namespace) -> None:
    if sum(bool(value) for value in (args.data, args.text, args.task)) > 1:
        raise KgptError(
            _("Too much to measure"),
            _("--data, --text and --task exclude each other."),
            _("Give one of them."),
        )
    kind = kind_of(args.task)
    if args.task and kind not in (*TASKS, HARNESS):
        raise KgptError(
            _("Unknown task"),
            _(
                "There is no task {task!r}.{suggestion}",
                task=args.task,
                suggestion=did_you_mean(kind, TASKS),
            ),
            _("Tasks: {tasks}, {harness}NAME.", tasks=", ".join(TASKS), harness=HARNESS),
        )
    if bool(args.file) != (kind == "completion") and kind in ("", *RECALL_TASKS):
        raise KgptError(
            _("--file and --task belong together"),
            _("--task completion needs --file, and neither a loss nor encyclopedia takes it."),
            _("For example: kgpt evaluate demo --task completion --file prompts.jsonl"),
        )
    for name, kinds in _WITH.items():
        if getattr(args, name) is not None and kind not in kinds:
            where = _(" and ").join(
                _("--task {item}", item=item) if item else _("a loss") for item in kinds
            )
            option = f"--{name.replace('_', '-')}"
            raise KgptError(
                _("Option without effect"),
                _("{option} is for {where}.", option=option, where=where),
                _("Leave out {option}.", option=option),
            )
    _check_decoder(args, kind)
    if kind == "judge" and not (args.judge_url and args.judge_model):
        raise KgptError(
            _("No judge"),
            _("--task judge needs --judge-url and --judge-model."),
            _("For example: --judge-url http://127.0.0.1:11434/v1 --judge-model llama3"),
        )
    if kind == HARNESS and not args.task.removeprefix(HARNESS).strip(", "):
        raise KgptError(
            _("No task"),
            _("harness: needs names of tasks."),
            _("For example: --task harness:hellaswag"),
        )


def _check_decoder(args: argparse.Namespace, kind: str) -> None:
    if args.decoder in (None, "keras"):
        return
    if kind in QUESTION_TASKS:
        raise KgptError(
            _("Option without effect"),
            _("--task {kind} is scored with Keras, whole texts at once.", kind=kind),
            _("Leave out --decoder."),
        )
    if args.stride or args.context:
        raise KgptError(
            _("Options exclude each other"),
            _("--stride and --context are for Keras, which reads whole texts at once."),
            _("Leave out --decoder, or both of them."),
        )
