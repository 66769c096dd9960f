"""What `kgpt evaluate` finds out from samples: their figures (`writing`), or scores by a language model (`judge`)."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgpt.commands.measures import (
    Measure,
    Measured,
    open_generator,
    open_scorer,
    progress,
    tokens_of,
)
from kgpt.errors import KgptError, KgptFailure
from kgpt.evaluation.statistics import Figure
from kgpt.language import _
from kgpt.runs import Checkpoint, RunFolder

if TYPE_CHECKING:
    from kgpt.evaluation.judge import Judge
    from kgpt.evaluation.writing import Sample
    from kgpt.text.tokenizer import Tokenizer

NUM_SAMPLES, MAX_TOKENS, TEMPERATURE, SEED, JUDGE_SECONDS = 32, 100, 1.0, 1, 60.0


def writing_measure(args: argparse.Namespace) -> Measure:
    """What `--task writing` or `--task judge` asks for; a judge is called on at once.

    Raises:
        KgptError: the rubric cannot be read, or the judge's address is none.
        KgptFailure: nobody answers there.
    """
    judge = _judge(args) if args.task == "judge" else None
    return lambda folder, checkpoint: _writing(args, judge, folder, checkpoint)


def _writing(
    args: argparse.Namespace, judge: Judge | None, folder: RunFolder, checkpoint: Checkpoint
) -> Measured:
    samples, options = _samples(args, folder, checkpoint)
    values = {"task": args.task, **options}
    if judge is None:
        from kgpt.evaluation.pairs import Request
        from kgpt.evaluation.writing import measure_writing

        requests = [Request(sample.prompt_ids, sample.ids) for sample in samples]
        written = measure_writing(samples, open_scorer(folder, checkpoint).score(requests))
        return Measured({**values, **written.values}, written.figures, (args.task, len(samples)))
    scores = judge.scores(samples, progress(_("samples judged")))
    known = [score for score in scores if score is not None]
    if not known:
        raise KgptFailure(
            _("No scores"),
            _(
                "{model} gave no score from 0 to 100 for any of {count} samples.",
                model=judge.model,
                count=len(scores),
            ),
            _("Try another --judge-model, or a --rubric that asks for less."),
        )
    figure = Figure.of(known)
    values |= {
        "judge": judge.model,
        "score": figure.value,
        "score_error": figure.standard_error,
        "scored": len(known),
        "unscored": len(scores) - len(known),
        "samples": [
            {"prompt": sample.prompt, "text": sample.text, "score": score}
            for sample, score in zip(samples, scores, strict=True)
        ],
    }
    which = tuple(score is not None for score in scores)
    return Measured(values, {"score": figure}, (args.task, which))


def _judge(args: argparse.Namespace) -> Judge:
    from kgpt.evaluation.judge import Judge, read_rubric

    seconds = args.judge_timeout or JUDGE_SECONDS
    judge = Judge(args.judge_url, args.judge_model, read_rubric(args.rubric), seconds)
    judge.check()
    return judge


def _samples(
    args: argparse.Namespace, folder: RunFolder, checkpoint: Checkpoint
) -> tuple[list[Sample], dict[str, Any]]:
    """What the run writes, and the options it did so with."""
    from kgpt.evaluation.writing import Sample
    from kgpt.protocol import GenerateOptions

    generator, show = open_generator(args, folder, checkpoint), progress("samples")
    wanted, seed = args.num_samples or NUM_SAMPLES, SEED if args.seed is None else args.seed
    temperature = TEMPERATURE if args.temperature is None else args.temperature
    most = min(args.max_tokens or MAX_TOKENS, generator.decoder.context_length)
    prompts, found = _prompts(args, folder, generator.tokenizer, wanted), []
    for number in range(wanted):
        prompt = prompts[number % len(prompts)]
        chosen = GenerateOptions(max_tokens=most, temperature=temperature, seed=seed + number)
        result = generator.generate(prompt, chosen)
        prompt_ids = tuple(generator.encode_prompt(prompt))
        found.append(Sample(prompt, result.text, prompt_ids, tuple(result.ids)))
        show(number + 1, wanted)
    return found, {"max_tokens": most, "temperature": temperature, "seed": seed}


def _prompts(
    args: argparse.Namespace, folder: RunFolder, tokenizer: Tokenizer, count: int
) -> list[str]:
    from kgpt.evaluation.writing import PROMPT_TOKENS, prompts_from, read_prompts

    if args.file:
        return read_prompts(Path(args.file))
    own = argparse.Namespace(text=None, data=None)
    tokens, _bytes, source = tokens_of(own, folder, tokenizer)
    prompts = prompts_from(tokens, tokenizer, count, PROMPT_TOKENS)
    if not prompts:
        raise KgptError(
            _("No prompts"),
            _("There is no text in {source}.", source=source),
            _("Give --file with a prompt a line."),
        )
    return prompts
