"""How fast models learn: kgpt's recipes beside nanoGPT's settings on PyTorch, on Tiny Shakespeare.

    python -m benchmarks.learning --text tinyshakespeare.txt [--seeds 3] [--recipe NAME ...] [--tune]

Bytes are tokens; the last tenth of the text is for validation, and the loss is over the whole of it, each byte
predicted once. The baseline is transformers' GPT-2 at nanoGPT's settings for a CPU: 4 layers, 4 heads, 128 wide,
context 64, batch 12, AdamW at 1e-3 with a cosine, 2,000 steps. kgpt trains through `model.fit` with checkpoints and
everything. Wall time is that of the steps, without the first, which compiles; compilation is given apart. Baseline
and recipes alternate, seed by seed. Hyperparameters are chosen with `--tune`, which never sees the last tenth: it
takes the tenth before it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

REACHED = 1.88
"""nanoGPT's published loss at the baseline's settings."""
BASELINE = "baseline"
RECIPES: dict[str, dict[str, Any]] = {
    "shape": {
        "steps": 180,
        "batch_size": 16,
        "optimizer": {
            "muon_learning_rate": 0.07,
            "muon_momentum": 0.9,
            "learning_rate": 0.03,
            "embedding_learning_rate": 0.05,
        },
    },
    "smallest": {
        "steps": 200,
        "batch_size": 32,
        "model": {"num_layers": 1, "width": 96, "feed_forward_width": 128},
        "optimizer": {
            "muon_learning_rate": 0.07,
            "muon_momentum": 0.9,
            "learning_rate": 0.03,
            "embedding_learning_rate": 0.05,
        },
    },
    "best": {
        "steps": 700,
        "batch_size": 16,
        "model": {"context_length": 128},
        "optimizer": {"weight_decay": 0.1},
    },
}
"""What each recipe has over the preset `modern-char-cpu`."""
GOALS = {
    "shape": "1.88 in 1/8 of the baseline's time",
    "smallest": "1.88 in 1/30 of the baseline's time",
    "best": "1.55 in the baseline's time",
}


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    args = _parser().parse_args(arguments)
    names = args.recipe or [BASELINE, *RECIPES]
    results: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for seed in range(1, args.seeds + 1):
        for name in names:
            results[name].append(_in_a_process(name, seed, args))
            print(f"  seed {seed}  {name}  {results[name][-1]}", file=sys.stderr, flush=True)
    base = results.get(BASELINE)
    print(f"{'':10}{'steps':>7}{'ms/step':>9}{'seconds':>9}{'compile':>9}{'of base':>9}  losses")
    for name, runs in results.items():
        seconds = statistics.median(run["seconds"] for run in runs)
        compiling = statistics.median(run["compile"] for run in runs)
        share = ""
        if base:
            shares = [r["seconds"] / b["seconds"] for r, b in zip(runs, base, strict=True)]
            share = f"1/{1 / statistics.median(shares):.1f}"
        steps = int(runs[0]["steps"])
        losses = " ".join(f"{run['loss']:.3f}" for run in runs)
        goal = f"   goal: {GOALS[name]}" if name in GOALS else ""
        print(
            f"{name:10}{steps:7,}{1000 * seconds / steps:9.1f}{seconds:9.1f}{compiling:9.1f}{share:>9}  {losses}{goal}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--text", type=Path, required=True, help="tinyshakespeare.txt")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", nargs="+", choices=[BASELINE, *RECIPES], help="default: all")
    parser.add_argument(
        "--tune", action="store_true", help="leave the last tenth of the text alone"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="over the recipes"
    )
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser


def _in_a_process(name: str, seed: int, args: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.learning", "--text", str(args.text)]
    command += ["--child", name, "--seeds", str(seed), *(["--tune"] if args.tune else [])]
    command += [f"--set={item}" for item in args.set]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _split(args: argparse.Namespace) -> tuple[bytes, bytes]:
    """The text to train on, and the tenth after it."""
    text = args.text.read_bytes()
    if args.tune:
        text = text[: len(text) * 9 // 10]
    return text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]


# === In the child ===


def _kgpt(name: str, seed: int, args: argparse.Namespace) -> dict[str, float]:
    from kgpt.config_values import from_dict, parse_override
    from kgpt.presets import preset
    from kgpt.training.trainer import train

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "text.txt").write_bytes(b"".join(_split(args)))
        # by itself, as its users do it: the heaps of threads that preparing starts here would stay
        command = [sys.executable, "-m", "kgpt", "prepare", str(folder / "text.txt")]
        command += ["--output", str(folder / "data"), "--tokenizer", "bytes"]
        command += ["--validation", "tail", "--validation-fraction", "0.1"]
        subprocess.run(command, check=True, capture_output=True)
        config = from_dict(RECIPES[name], preset("modern-char-cpu"))
        for item in args.set:
            config = from_dict(parse_override(item), config)
        config = dataclasses.replace(
            config,
            data=str(folder / "data"),
            run="run",
            seed=seed,
            minutes=0.0,
            log_every=1,
            evaluate_every=config.steps,
            checkpoint_every=config.steps,
        )
        result = train(config, saved_models=folder / "runs")
        clock = [row["seconds"] for row in result.run.metrics() if "train_loss" in row]
    steps = config.steps
    seconds = (clock[-1] - clock[0]) * steps / (steps - 1)
    return {
        "steps": steps,
        "seconds": seconds,
        "compile": clock[0] - seconds / steps,
        "loss": result.validation_loss or float("nan"),
    }


def _baseline(seed: int, args: argparse.Namespace) -> dict[str, float]:
    import math

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    context, batch, steps, peak = 64, 12, 2000, 1e-3
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=257, n_positions=context, n_layer=4, n_head=4, n_embd=128,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
            bos_token_id=256, eos_token_id=256,
        )
    )  # fmt: skip
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=peak,
        betas=(0.9, 0.99),
    )
    train_bytes, held_out = _split(args)
    tokens = torch.from_numpy(np.frombuffer(train_bytes, np.uint8).astype("int64"))
    clock = [time.perf_counter()]
    for step in range(steps):
        rate = peak * min(1.0, (step + 1) / 100)
        if step >= 100:
            rate = 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / (steps - 100))) * 9e-4
        for group in optimizer.param_groups:
            group["lr"] = rate
        start = torch.randint(0, len(tokens) - context - 1, (batch,))
        ids = torch.stack([tokens[i : i + context + 1] for i in start])
        logits = model(ids[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 257), ids[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock.append(time.perf_counter())
    seconds = (clock[-1] - clock[1]) * steps / (steps - 1)
    first = clock[1] - clock[0] - seconds / steps
    loss = _held_out_loss(model, np.frombuffer(held_out, np.uint8), context)
    return {"steps": steps, "seconds": seconds, "compile": first, "loss": loss}


def _held_out_loss(model: Any, held_out: Any, context: int) -> float:
    """Each byte predicted once, from those before it in its window; the first of all from the end of text."""
    import torch

    ids = np.concatenate([[256], held_out]).astype("int64")
    windows = [ids[i : i + context + 1] for i in range(0, len(ids) - 1, context)]
    total = 0.0
    with torch.no_grad():
        for i in range(0, len(windows), 64):
            some = windows[i : i + 64]
            width = max(map(len, some))
            padded = torch.full((len(some), width), -100)
            for row, window in enumerate(some):
                padded[row, : len(window)] = torch.from_numpy(window)
            logits = model(padded[:, :-1].clamp(min=0)).logits
            total += torch.nn.functional.cross_entropy(
                logits.reshape(-1, 257), padded[:, 1:].reshape(-1), reduction="sum"
            ).item()
    return total / len(held_out)


if __name__ == "__main__":
    given = _parser().parse_args()
    if given.child:
        run = _baseline if given.child == BASELINE else lambda *a: _kgpt(given.child, *a)
        print(json.dumps(run(given.seeds, given)))
    else:
        main(sys.argv[1:])
