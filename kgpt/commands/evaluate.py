"""Measure runs: loss, perplexity and bits per byte of a text, or the share of right answers in a task.

By default on the validation split of the data that the run was trained on. Results are kept in the run's
evaluations.jsonl.
"""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.tables import print_table
from kgpt.errors import KgptError
from kgpt.files import append_json_line
from kgpt.protocol import DECODERS
from kgpt.runs import Checkpoint, RunFolder, find_run

if TYPE_CHECKING:
    from kgpt.evaluation.recall import Recall
    from kgpt.inference.generation import Generator
    from kgpt.text.tokenizer import Tokenizer

TASKS = ("encyclopedia", "completion")

EXAMPLES = """examples:
  kgpt evaluate demo
  kgpt evaluate demo machado --text book.txt         compare two runs on one text, by bits per byte
  kgpt evaluate demo --decoder litert-int8           what the smaller weights cost
  kgpt evaluate demo --task encyclopedia             facts asked for in phrasings that training never used
  kgpt evaluate demo --task completion --file mine.jsonl   lines of {"prompt": ..., "answer": ...}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `kgpt evaluate`."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="name under saved_models/, or a path")
    add("--data", metavar="DIR", help="prepared folder whose validation split is measured")
    add("--text", metavar="FILE", help="UTF-8 text file to measure instead")
    add("--task", choices=TASKS, help="completions with known answers instead of a loss")
    add("--file", metavar="FILE", help="prompts and answers of --task completion, as JSONL")
    add("--checkpoint", default="best", metavar="best|last|STEP", help="default: best")
    add(
        "--decoder",
        choices=DECODERS,
        help="what computes, as `kgpt sample` would (default: for a task auto, for a loss Keras, whole texts at once)",
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each run, print a table, keep the results."""
    _check(args)
    folders = [find_run(name, args.saved_models) for name in args.runs]
    chosen = [(folder, folder.checkpoint(args.checkpoint)) for folder in folders]
    measure: Callable[[argparse.Namespace, RunFolder, Checkpoint], dict[str, Any]]
    measure = _measure_task if args.task else _measure_loss
    results = []
    for folder, checkpoint in chosen:
        result = {"run": folder.name, "step": checkpoint.step, **measure(args, folder, checkpoint)}
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        append_json_line(folder.path / "evaluations.jsonl", {"time": now, **result})
        results.append(result)
    if not args.json and not args.task:
        _print_losses(results)
    return results[0] if len(results) == 1 else {"evaluations": results}


def _check(args: argparse.Namespace) -> None:
    if sum(bool(value) for value in (args.data, args.text, args.task)) > 1:
        raise KgptError(
            "Too much to measure",
            "--data, --text and --task exclude each other.",
            "Give one of them.",
        )
    if bool(args.file) != (args.task == "completion"):
        raise KgptError(
            "--file and --task belong together",
            "--task completion needs --file, and nothing else takes it.",
            "For example: kgpt evaluate demo --task completion --file prompts.jsonl",
        )


# === Loss ===


def _measure_loss(
    args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint
) -> dict[str, Any]:
    from kgpt.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    tokens, num_bytes, source = _tokens(args, folder, tokenizer)
    if args.decoder in (None, "keras"):
        from kgpt.evaluation.loss import LossEvaluator
        from kgpt.model.weights import load_checkpoint_model

        model = load_checkpoint_model(folder, checkpoint)
        loss = LossEvaluator(model, tokenizer.end_of_text).measure(tokens, num_bytes)
    else:
        from kgpt.evaluation.decoded_loss import decoded_loss

        decoder = _load(args, folder, checkpoint).decoder
        loss = decoded_loss(decoder, tokens, num_bytes, tokenizer.end_of_text, _show_progress)
    return {
        "source": source,
        **({"decoder": args.decoder} if args.decoder else {}),
        "loss": loss.loss,
        "perplexity": loss.perplexity,
        "bits_per_byte": loss.bits_per_byte,
        "tokens": loss.tokens,
        "bytes": loss.bytes,
    }


def _show_progress(done: int, of: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == of else "\r"
        print(f"{done:,} of {of:,} tokens", end=end, file=sys.stderr, flush=True)


def _tokens(
    args: argparse.Namespace, folder: RunFolder, tokenizer: Tokenizer
) -> tuple[Any, int, str]:
    from kgpt.evaluation.tokens import InMemoryTokens
    from kgpt.text.shards import Corpus

    if args.text:
        text = _read_text(Path(args.text))
        return InMemoryTokens(tokenizer.encode(text)), len(text.encode()), args.text
    data = args.data or (folder.read().get("data") or {}).get("path")
    if not data:
        raise KgptError(
            "Nothing to measure",
            f"Run {folder.name} does not say what data it was trained on.",
            "Give --data DIR or --text FILE.",
        )
    corpus = Corpus.open(data)
    if corpus.tokenizer.sha256 != tokenizer.sha256:
        raise KgptError(
            "Another tokenizer",
            f"{data} was prepared with another tokenizer than run {folder.name}'s.",
            f"Prepare it with `kgpt prepare ... --tokenizer {folder.path}`, or measure the text itself with --text.",
        )
    return corpus.tokens("validation"), corpus.validation_bytes, str(data)


def _read_text(path: Path) -> str:
    from kgpt.text.sources import read_documents

    return "".join(read_documents([path], documents="file"))


def _print_losses(results: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            result["run"],
            f"{result['step']:,}",
            f"{result['loss']:.4f}",
            f"{result['perplexity']:.3f}",
            f"{result['bits_per_byte']:.4f}",
            f"{result['tokens']:,}",
            f"{result['bytes']:,}",
        )
        for result in results
    ]
    headings = ("run", "step", "loss", "perplexity", "bits per byte", "tokens", "bytes")
    print_table(headings, rows, left=("run",))


# === Tasks ===


def _measure_task(
    args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint
) -> dict[str, Any]:
    from kgpt.evaluation.recall import encyclopedia_prompts, measure_recall, read_prompts

    prompts = read_prompts(Path(args.file)) if args.file else encyclopedia_prompts()
    generator = _load(args, folder, checkpoint)
    recall = measure_recall(
        lambda texts, count: generator.complete_batch(texts, count, stop=(".", "\n")), prompts
    )
    if not args.json:
        _print_recall(folder.name, recall)
    return {
        "task": args.task,
        "prompts": len(prompts),
        "accuracy": recall.accuracy,
        "most_common_answer_accuracy": recall.most_common_answer_accuracy(),
        "by_subject": {
            name: {"right": right, "prompts": asked}
            for name, (right, asked) in recall.by("subject").items()
        },
    }


def _print_recall(name: str, recall: Recall) -> None:
    rows = [
        (subject, str(right), str(asked), "█" * round(20 * right / asked))
        for subject, (right, asked) in recall.by("subject").items()
    ]
    print_table(("subject", "right", "of", ""), rows, left=("subject", ""))
    print(
        f"{name}: {recall.accuracy:.1%} of {len(recall.answers)} answers right"
        f" (always giving each relation's most common answer: {recall.most_common_answer_accuracy():.1%})"
    )


def _load(args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint) -> Generator:
    from kgpt.inference.generation import load_generator

    return load_generator(folder, checkpoint, args.decoder or "auto")
