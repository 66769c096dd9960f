"""The measurements of `kgpt evaluate`: arguments in, a function from a run's checkpoint to what was found out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.evaluate import HARNESS, QUESTION_TASKS, RECALL_TASKS, kind_of
from kgpt.errors import KgptError
from kgpt.evaluation.statistics import Figure
from kgpt.language import _
from kgpt.runs import Checkpoint, RunFolder

if TYPE_CHECKING:
    from kgpt.evaluation.likelihood import LikelihoodScorer
    from kgpt.evaluation.questions import Question
    from kgpt.evaluation.tokens import TokenStream
    from kgpt.inference.generation import Generator
    from kgpt.model.gpt import GPT
    from kgpt.text.tokenizer import Tokenizer


@dataclass
class Measured:
    """What was found of a run."""

    values: dict[str, Any]
    """For JSON."""
    figures: dict[str, Figure] = field(default_factory=dict)
    """What can be compared with another run's, item by item."""
    items: Hashable = None
    """What the items are; only figures of the same ones are compared."""


XLA_FROM = 16_384
"""Tokens to read from which on XLA's seconds of compilation pay: the rest then takes a quarter to a half less."""

Measure = Callable[[RunFolder, Checkpoint], Measured]


def measure_of(args: argparse.Namespace) -> Measure:
    """What the arguments ask for; what it reads besides runs is read here, once.

    Raises:
        KgptError: a file is missing or broken.
        KgptFailure: it cannot be read, or the Hub or the judge cannot be reached.
    """
    kind = kind_of(args.task)
    if kind in QUESTION_TASKS:
        from kgpt.evaluation.task_files import read_questions

        questions = read_questions(args.task, args.file, args.limit)
        return lambda folder, checkpoint: _questions(args, questions, folder, checkpoint)
    if kind in RECALL_TASKS:
        return lambda folder, checkpoint: _recall(args, folder, checkpoint)
    if kind == HARNESS:
        from kgpt.packages import optional_package

        optional_package("lm_eval", "harness", f"--task {HARNESS}")
        return lambda folder, checkpoint: _harness(args, folder, checkpoint)
    if kind:
        from kgpt.commands.writing_measures import writing_measure

        return writing_measure(args)
    return lambda folder, checkpoint: _loss(args, folder, checkpoint)


def progress(unit: str) -> Callable[[int, int], None]:
    """Show progress on stderr, where a person looks."""

    def show(done: int, of: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == of else "\r"
            print(
                _("{done:,} of {of:,} {unit}", done=done, of=of, unit=unit),
                end=end,
                file=sys.stderr,
                flush=True,
            )

    return show


# === Loss ===


def _loss(args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint) -> Measured:
    from kgpt.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    tokens, num_bytes, source = tokens_of(args, folder, tokenizer)
    if len(tokens) < 2:
        raise KgptError(
            _("Text too short"),
            _(
                "Expected two tokens or more. Received: {count} in {source}.",
                count=len(tokens),
                source=source,
            ),
            _("Give a longer text."),
        )
    sizes, show = _token_bytes(tokenizer), progress("tokens")
    if args.decoder in (None, "keras"):
        from kgpt.evaluation.loss import LossEvaluator, check_context, check_stride
        from kgpt.model.tensors import model_config

        own = model_config(folder).context_length
        context, stride = args.context or own, args.stride or 0
        check_context(context, own)
        check_stride(stride, context)
        windows = -(-len(tokens) // (stride or context))
        model = open_model(folder, checkpoint)
        evaluator = LossEvaluator(
            model,
            tokenizer.end_of_text,
            context_length=context,
            jit_compile=windows * context >= XLA_FROM,
        )
        if windows < evaluator.batch_size:
            evaluator = LossEvaluator(
                model, tokenizer.end_of_text, windows, context_length=min(context, len(tokens))
            )
        loss = evaluator.measure(
            tokens,
            num_bytes,
            show,
            stride=min(stride, evaluator.context_length),
            token_bytes_V=sizes,
        )
    else:
        from kgpt.evaluation.decoded_loss import decoded_loss

        decoder = open_generator(args, folder, checkpoint).decoder
        loss = decoded_loss(decoder, tokens, num_bytes, tokenizer.end_of_text, show, sizes)
    errors = {name: figure.standard_error for name, figure in loss.figures.items()}
    error = errors["loss"]
    values = {
        "source": source,
        **({"decoder": args.decoder} if args.decoder else {}),
        **({"context": args.context} if args.context else {}),
        **({"stride": args.stride} if args.stride else {}),
        "loss": loss.loss,
        "loss_error": error,
        "perplexity": loss.perplexity,
        "perplexity_error": None if error is None else loss.perplexity * error,
        "bits_per_byte": loss.bits_per_byte,
        "bits_per_byte_error": errors["bits_per_byte"],
        "tokens": loss.tokens,
        "bytes": loss.bytes,
    }
    return Measured(
        values, {"bits_per_byte": loss.figures["bits_per_byte"]}, ("text", source, num_bytes)
    )


def _token_bytes(tokenizer: Tokenizer) -> Any:
    """How many bytes of the text each id stands for; special tokens stand for none."""
    import numpy as np

    special = set(tokenizer.special_tokens)
    return np.array(
        [
            0 if token in special else len(tokenizer.token_bytes(number))
            for token, number in tokenizer.vocabulary.items()
        ]
    )


def tokens_of(
    args: argparse.Namespace, folder: RunFolder, tokenizer: Tokenizer
) -> tuple[TokenStream, int, str]:
    """The tokens that --text or --data name, by default the run's validation split; their bytes, and where they lie."""
    from kgpt.evaluation.tokens import InMemoryTokens
    from kgpt.text.shards import Corpus

    if args.text:
        text = _read_text(Path(args.text))
        return InMemoryTokens(tokenizer.encode(text)), len(text.encode()), args.text
    data = args.data or (folder.read().get("data") or {}).get("path")
    if not data:
        raise KgptError(
            _("Nothing to measure"),
            _("Run {name} does not say what data it was trained on.", name=folder.name),
            _("Give --data DIR or --text FILE."),
        )
    corpus = Corpus.open(data)
    if corpus.tokenizer.sha256 != tokenizer.sha256:
        raise KgptError(
            _("Another tokenizer"),
            _(
                "{data} was prepared with another tokenizer than run {name}'s.",
                data=data,
                name=folder.name,
            ),
            _(
                "Prepare it with `kgpt prepare ... --tokenizer {path}`, or measure the text itself "
                "with --text.",
                path=folder.path,
            ),
        )
    return corpus.tokens("validation"), corpus.validation_bytes, str(data)


def _read_text(path: Path) -> str:
    from kgpt.text.sources import read_documents

    return "".join(read_documents([path], documents="file"))


# === Tests ===


def _questions(
    args: argparse.Namespace,
    questions: Sequence[Question],
    folder: RunFolder,
    checkpoint: Checkpoint,
) -> Measured:
    from kgpt.evaluation.questions import answer

    scorer, show = open_scorer(folder, checkpoint), progress("continuations")
    answers = answer(questions, lambda pairs, groups: scorer.score_texts(pairs, groups, show))
    source = {"file": args.file} if args.file else {}
    limit = {"limit": args.limit} if args.limit else {}
    values = {"task": args.task, **source, **limit, **answers.values}
    return Measured(values, answers.figures, (args.task, len(questions)))


def _recall(args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint) -> Measured:
    from kgpt.evaluation.recall import encyclopedia_prompts, measure_recall, read_prompts

    prompts = read_prompts(Path(args.file)) if args.file else encyclopedia_prompts()
    generator = open_generator(args, folder, checkpoint)
    recall = measure_recall(
        lambda texts, count: generator.complete_batch(texts, count, stop=(".", "\n")), prompts
    )
    accuracy = Figure.of([item.is_right for item in recall.answers])
    values = {
        "task": args.task,
        "prompts": len(prompts),
        "accuracy": recall.accuracy,
        "accuracy_error": accuracy.standard_error,
        "most_common_answer_accuracy": recall.most_common_answer_accuracy(),
        "by_subject": {
            name: {"right": right, "prompts": asked}
            for name, (right, asked) in recall.by("subject").items()
        },
    }
    return Measured(values, {"accuracy": accuracy}, (args.task, len(prompts)))


def _harness(args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint) -> Measured:
    from kgpt.evaluation.harness import HarnessModel, run_tasks
    from kgpt.inference.generation import Generator

    names = [name.strip() for name in args.task.removeprefix(HARNESS).split(",") if name.strip()]
    scorer = open_scorer(folder, checkpoint)
    if args.decoder in (None, "keras"):
        from kgpt.inference.decoder import KerasDecoder

        generator = Generator(KerasDecoder(scorer.model), scorer.tokenizer)
    else:
        generator = open_generator(args, folder, checkpoint)
    model = HarnessModel(scorer, generator, progress("continuations"))
    results, figures = run_tasks(model, names, args.limit, args.file)
    limit = {"limit": args.limit} if args.limit else {}
    return Measured({"task": args.task, **limit, "results": results}, figures, args.task)


# === Models ===


def open_scorer(folder: RunFolder, checkpoint: Checkpoint) -> LikelihoodScorer:
    """A checkpoint, to score continuations with."""
    from kgpt.evaluation.likelihood import LikelihoodScorer
    from kgpt.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(folder.tokenizer_folder)
    return LikelihoodScorer(open_model(folder, checkpoint), tokenizer)


def open_model(folder: RunFolder, checkpoint: Checkpoint) -> GPT:
    """A checkpoint, to work through batch after batch in the same memory."""
    from kgpt.model.hardware import keep_memory
    from kgpt.model.weights import load_checkpoint_model

    keep_memory()
    return load_checkpoint_model(folder, checkpoint)


def open_generator(
    args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint
) -> Generator:
    """A checkpoint, to write with the decoder that is asked for."""
    from kgpt.inference.generation import load_generator

    return load_generator(folder, checkpoint, args.decoder or "auto")
