"""Training speed and memory beside the peers: the same model, batch and precision, tokens/s, medians of rounds.

    python -m benchmarks training
    python -m benchmarks.training [--case NAME ...] [--side NAME ...] [--rounds 3] [--seconds 8]

Peers: transformers' GPT-2 on PyTorch, eager and compiled, and keras-hub's GPT2CausalLM. Each makes whole steps of
AdamW with clipping by global norm, without dropout, on the same random tokens. In a round every side trains once, in a
process of its own and one after the other, so that a noisy machine disturbs all of them; a ratio is the median over the
rounds. Compilation is not in the time. Peak memory is the process's high-water mark (VmHWM).
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
    """A model of GPT-2's architecture, and a batch."""

    vocabulary: int
    context: int
    layers: int
    heads: int
    width: int
    batch: int
    precision: str
    goal: float
    """Tokens/s, as a multiple of the best peer's."""


CASES = {
    "char": Case(65, 64, 4, 4, 128, 12, "float32", 1.25),
    "small": Case(8192, 256, 6, 6, 384, 16, "float32", 1.05),
    "small-bf16": Case(8192, 256, 6, 6, 384, 16, "bfloat16", 1.2),
    "gpt2": Case(50257, 1024, 12, 12, 768, 4, "float32", 1.2),
    "gpt2-bf16": Case(50257, 1024, 12, 12, 768, 4, "bfloat16", 1.2),
}
OURS = "kgpt"
Step = Callable[[], Any]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    args = _parser().parse_args(arguments)
    for name in args.case or CASES:
        rounds = [
            {side: _in_a_process(side, name, args.seconds) for side in args.side or SIDES}
            for _ in range(args.rounds)
        ]
        _print_case(name, rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--case", nargs="+", choices=CASES, help="default: all")
    parser.add_argument("--side", nargs="+", choices=SIDES, help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=8, help="of steps, for each side and round"
    )
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser


def _in_a_process(side: str, case: str, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training", "--child", side, case]
    command += ["--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{side} failed on {case}:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(f"  {case}  {side}  {result['tokens_per_second']:,.0f} tokens/s", file=sys.stderr)
    return result


def _print_case(name: str, rounds: list[dict[str, dict[str, float]]]) -> None:
    def median(side: str, key: str) -> float:
        return statistics.median(turn[side][key] for turn in rounds)

    sides = list(rounds[0])
    print(f"\n{name}: {CASES[name]}")
    print(f"{'':16}{'tokens/s':>10}{'step ms':>10}{'first s':>10}{'peak GB':>10}{'ratio':>8}")
    for side in sides:
        ratio = "" if OURS not in sides else f"{_ratio(rounds, side):8.2f}"
        speed, step, first, peak = (
            median(side, key) for key in ("tokens_per_second", "step_ms", "first_s", "peak")
        )
        print(f"{side:16}{speed:10,.0f}{step:10,.1f}{first:10.1f}{peak / 1e9:10.2f}{ratio}")
    if OURS in sides:
        share = statistics.median(turn[OURS]["mfu"] for turn in rounds)
        print(f"kgpt makes {share:.0%} of the machine's own matrix-product rate in this precision.")
        peers = [side for side in sides if side != OURS]
        if peers:
            best = min(peers, key=lambda side: _ratio(rounds, side))
            print(
                f"beside the best peer, {best}: {_ratio(rounds, best):.2f}; goal {CASES[name].goal}"
            )


def _ratio(rounds: list[dict[str, dict[str, float]]], side: str) -> float:
    """Tokens/s of kgpt over this side's, the median over the rounds."""
    return statistics.median(
        turn[OURS]["tokens_per_second"] / turn[side]["tokens_per_second"] for turn in rounds
    )


# === In the child ===


def _child(side: str, name: str, seconds: float) -> None:
    from kgpt.training.trial import peak_memory

    case = CASES[name]
    random = np.random.default_rng(0)
    ids = random.integers(0, case.vocabulary, (case.batch, case.context + 1)).astype("int32")
    start = time.perf_counter()
    step = SIDES[side](case, ids)
    step()
    first = time.perf_counter() - start
    step()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    speed = case.batch * case.context / statistics.median(times)
    result = {
        "tokens_per_second": speed,
        "step_ms": 1000 * statistics.median(times),
        "first_s": first,
        "peak": peak_memory(),
    }
    if side == OURS:
        result["mfu"] = _utilization(case, speed)
    print(json.dumps(result))


def _utilization(case: Case, tokens_per_second: float) -> float:
    from kgpt.model.size import training_flops_per_token
    from kgpt.training.speed import measured_rate

    rate = measured_rate(case.precision)
    return tokens_per_second * training_flops_per_token(_model_config(case)) / rate


def _model_config(case: Case) -> Any:
    from kgpt.config import ModelConfig

    return ModelConfig(
        vocabulary_size=case.vocabulary,
        context_length=case.context,
        num_layers=case.layers,
        num_heads=case.heads,
        width=case.width,
    )


def _kgpt(case: Case, ids: Any) -> Step:
    from kgpt.config import OptimizerConfig, TrainConfig
    from kgpt.training.distribution import keep_memory
    from kgpt.training.preparation import compiled_model

    config = TrainConfig(
        model=_model_config(case),
        optimizer=OptimizerConfig(),
        steps=10_000,
        batch_size=case.batch,
        precision=case.precision,
    )
    keep_memory(config)
    model = compiled_model(config)
    return _fitting(model, ids[:, :-1], ids[:, 1:])


def _keras_hub(case: Case, ids: Any) -> Step:
    import keras
    from keras_hub.models import GPT2Backbone, GPT2CausalLM

    backbone = GPT2Backbone(
        vocabulary_size=case.vocabulary,
        num_layers=case.layers,
        num_heads=case.heads,
        hidden_dim=case.width,
        intermediate_dim=4 * case.width,
        dropout=0.0,
        max_sequence_length=case.context,
        dtype="mixed_bfloat16" if case.precision == "bfloat16" else "float32",
    )
    model = GPT2CausalLM(backbone)
    model.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=0.1, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=[],
    )
    inputs = ids[:, :-1]
    return _fitting(model, {"token_ids": inputs, "padding_mask": np.ones_like(inputs)}, ids[:, 1:])


def _fitting(model: Any, inputs: Any, targets: Any) -> Step:
    """A step of `fit`, as its own loop makes them: the compiled function over an iterator that stays on the device."""
    import tensorflow as tf

    if hasattr(model, "_symbolic_build"):
        model._symbolic_build(data_batch=(inputs, targets))
    model.make_train_function()
    batches = iter(tf.data.Dataset.from_tensors((inputs, targets)).repeat())
    return lambda: float(model.train_function(batches)["loss"])


def _pytorch(case: Case, ids: Any, compiled: bool = False) -> Step:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    model: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=case.vocabulary, n_positions=case.context, n_layer=case.layers,
            n_head=case.heads, n_embd=case.width, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, use_cache=False,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    parameters = list(model.parameters())
    if compiled:
        model = torch.compile(model)
    inputs, targets = torch.from_numpy(ids[:, :-1]).long(), torch.from_numpy(ids[:, 1:]).long()

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=case.precision == "bfloat16"):
            logits = model(inputs).logits
        loss = torch.nn.functional.cross_entropy(
            logits.float().reshape(-1, case.vocabulary), targets.reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


SIDES: dict[str, Callable[[Case, Any], Step]] = {
    OURS: _kgpt,
    "torch": _pytorch,
    "torch-compiled": lambda case, ids: _pytorch(case, ids, compiled=True),
    "keras-hub": _keras_hub,
}


if __name__ == "__main__":
    given = _parser().parse_args()
    if given.child:
        _child(*given.child, given.seconds)
    else:
        main(sys.argv[1:])
