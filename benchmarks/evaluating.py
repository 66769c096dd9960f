"""Speed of evaluation beside transformers on PyTorch: the same model, the same tokens and questions, in one run.

    python -m benchmarks evaluating
    python -m benchmarks.evaluating [--case NAME ...] [--measure NAME ...] [--rounds 3] [--seconds 10]

`loss`: text in windows of the whole context, every token scored once; transformers' side is its guide to perplexity in
batches of the same size. `choices`: questions of four choices, which share a context; transformers' side is what
lm-eval's class for it does: each choice with its whole context, sorted by length, in padded batches. Both sides sum
log-likelihoods over tokens. In a round both measure, in processes of their own, one after the other; a ratio is the
median over the rounds. Loading, compiling and a first batch of each shape are not in the time (`kgpt evaluate` compiles
a text with XLA, as here, where it is long enough). Of a text, tokens/s counts the tokens scored; of questions, the
tokens of every choice with its context, whoever computes them once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A model of GPT-2's architecture."""

    vocabulary: int
    context: int
    layers: int
    heads: int
    width: int


CASES = {
    "small": Case(8192, 256, 6, 6, 384),
    "gpt2": Case(50257, 1024, 12, 12, 768),
}
GOAL = 1.2
SIDES = ("kgpt", "transformers")
MEASURES = ("loss", "choices")
TOKENS_IN_A_BATCH = 4096
QUESTIONS, CHOICES = 24, 4
Work = tuple[int, Callable[[], float]]
"""Tokens of a piece of work, and the work; it returns the summed surprise."""


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    args = _parser().parse_args(arguments)
    for name in args.case or CASES:
        for measure in args.measure or MEASURES:
            rounds = [
                {side: _in_a_process(side, name, measure, args.seconds) for side in SIDES}
                for _ in range(args.rounds)
            ]
            _print(name, measure, rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluating", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--case", nargs="+", choices=CASES, help="default: all")
    parser.add_argument("--measure", nargs="+", choices=MEASURES, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="for each side and round")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    return parser


def _in_a_process(side: str, case: str, measure: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.evaluating", "--child", side, case, measure]
    command += ["--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed on {case}, {measure}:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"  {case}  {measure}  {side}  {result['tokens_per_second']:,.0f} tokens/s", file=sys.stderr
    )
    return result


def _print(name: str, measure: str, rounds: list[dict[str, dict[str, float]]]) -> None:
    print(f"\n{name}, {measure}: {CASES[name]}")
    for side in SIDES:
        speed = statistics.median(turn[side]["tokens_per_second"] for turn in rounds)
        loss = rounds[0][side]["nats_a_token"]
        print(f"{side:16}{speed:10,.0f} tokens/s   {loss:.5f} nats a token")
    ratio = statistics.median(
        turn["kgpt"]["tokens_per_second"] / turn["transformers"]["tokens_per_second"]
        for turn in rounds
    )
    print(f"beside transformers: {ratio:.2f}; goal {GOAL}")


# === In the child ===


def _child(side: str, name: str, measure: str, seconds: float) -> None:
    import torch

    if side == "kgpt":
        from kgpt.model.hardware import keep_memory

        keep_memory()  # as `kgpt evaluate` does
    case = CASES[name]
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    peer = _peer(case)
    tokens, work = _works(side, measure, case, peer)
    work()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 2:
        start = time.perf_counter()
        nats = work()
        times.append(time.perf_counter() - start)
    result = {"tokens_per_second": tokens / min(times), "nats_a_token": nats / tokens}
    print(json.dumps(result))


def _works(side: str, measure: str, case: Case, peer: Any) -> Work:
    if measure == "loss":
        ids = np.random.default_rng(0).integers(0, case.vocabulary, TOKENS_IN_A_BATCH)
        return (_our_loss if side == "kgpt" else _their_loss)(case, peer, ids)
    return (_our_choices if side == "kgpt" else _their_choices)(case, peer, _questions(case))


def _peer(case: Case) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=case.vocabulary, n_positions=case.context, n_layer=case.layers,
        n_head=case.heads, n_embd=case.width, use_cache=False,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def _ours(case: Case, peer: Any) -> Any:
    """The peer's weights in a model of ours."""
    from kgpt.config import ModelConfig
    from kgpt.model.gpt import build_gpt
    from kgpt.model.weights import assign
    from tests.peers.test_transformers import named_as_ours

    config = ModelConfig(
        vocabulary_size=case.vocabulary,
        context_length=case.context,
        num_layers=case.layers,
        num_heads=case.heads,
        width=case.width,
    )
    model = build_gpt(config)
    assign(model.weights, named_as_ours(peer), "transformers")
    return model


# === Loss ===


def _our_loss(case: Case, peer: Any, ids: Any) -> Work:
    from kgpt.evaluation.loss import LossEvaluator
    from kgpt.evaluation.tokens import InMemoryTokens

    batch = TOKENS_IN_A_BATCH // case.context
    model = _ours(case, peer)
    evaluator = LossEvaluator(model, case.vocabulary - 1, batch, jit_compile=True)
    tokens = InMemoryTokens(ids.tolist())

    def work() -> float:
        measured = evaluator.measure(tokens, 1)
        return measured.loss * measured.tokens

    return len(ids), work


def _their_loss(case: Case, peer: Any, ids: Any) -> Work:
    import torch

    inputs = torch.tensor(np.concatenate([[case.vocabulary - 1], ids[:-1]])).view(-1, case.context)
    targets = torch.tensor(ids).reshape(-1)

    def work() -> float:
        logits = peer(inputs).logits.view(-1, case.vocabulary)
        return float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))

    return len(ids), work


# === Choices ===


def _questions(case: Case) -> list[tuple[list[int], list[list[int]]]]:
    """Contexts of 20 to 120 tokens with choices of 4 to 20, about as HellaSwag has them."""
    random = np.random.default_rng(0)

    def some(low: int, high: int) -> list[int]:
        return [
            int(token) for token in random.integers(0, case.vocabulary, random.integers(low, high))
        ]

    return [(some(20, 121), [some(4, 21) for _ in range(CHOICES)]) for _ in range(QUESTIONS)]


def _total(questions: list[tuple[list[int], list[list[int]]]]) -> int:
    return sum(len(context) + len(end) for context, choices in questions for end in choices)


def _our_choices(case: Case, peer: Any, questions: Any) -> Work:
    from types import SimpleNamespace

    from kgpt.evaluation.likelihood import LikelihoodScorer
    from kgpt.evaluation.pairs import Request

    tokenizer: Any = SimpleNamespace(vocabulary_size=case.vocabulary)  # ids need no tokenizer
    scorer = LikelihoodScorer(_ours(case, peer), tokenizer)
    requests = [
        Request(tuple(context), tuple(end), number)
        for number, (context, choices) in enumerate(questions)
        for end in choices
    ]
    return _total(questions), lambda: -sum(score.log_likelihood for score in scorer.score(requests))


def _their_choices(case: Case, peer: Any, questions: Any) -> Work:
    import torch

    pairs = [(context, end) for context, choices in questions for end in choices]
    pairs.sort(key=lambda pair: -len(pair[0]) - len(pair[1]))
    longest = len(pairs[0][0]) + len(pairs[0][1])
    rows = max(1, TOKENS_IN_A_BATCH // longest)

    def work() -> float:
        total = 0.0
        for first in range(0, len(pairs), rows):
            chosen = pairs[first : first + rows]
            width = len(chosen[0][0]) + len(chosen[0][1]) - 1
            inputs = torch.zeros((len(chosen), width), dtype=torch.long)
            for row, (context, end) in enumerate(chosen):
                ids = [*context, *end][:-1]
                inputs[row, : len(ids)] = torch.tensor(ids)
            logs = torch.log_softmax(peer(inputs).logits, dim=-1)
            for row, (context, end) in enumerate(chosen):
                places = torch.arange(len(context) - 1, len(context) + len(end) - 1)
                total -= float(logs[row, places, torch.tensor(end)].sum())
        return total

    return _total(questions), work


if __name__ == "__main__":
    given = _parser().parse_args()
    if given.child:
        _child(*given.child, given.seconds)
    else:
        main(sys.argv[1:])
