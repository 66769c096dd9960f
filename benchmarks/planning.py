"""`kgpt plan` against what runs really take: the computed peak memory beside that of child processes that train.

    python -m benchmarks planning                 a table: computed and measured, by phase, and the error of the peak
    python -m benchmarks.planning float32         its rows with `float32` in the name
    python -m benchmarks.planning factors         the factors of kgpt/training/memory.py, measured anew

A child trains two steps on random tokens, saves a checkpoint and evaluates one batch; its peak is the high-water mark
of its resident memory (VmHWM). The goal is an error within 15 %.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from kgpt.config import TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptFailure
from kgpt.model.size import parameter_count
from kgpt.presets import preset
from kgpt.training.memory import (
    FLOAT32,
    memory_plan,
    optimizer_values,
    step_counts,
)
from kgpt.training.trial import try_out

MIDDLE: dict[str, Any] = {
    "batch_size": 16,
    "model": {"vocabulary_size": 8192, "dropout": 0.0},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "demo, float32": ("demo", {"model": {"vocabulary_size": 4096}}),
    "demo, bfloat16": ("demo", {"model": {"vocabulary_size": 4096}, "precision": "bfloat16"}),
    "char-cpu, float32": ("char-cpu", {"model": {"vocabulary_size": 257}}),
    "6 x 384, 8,192 ids, float32": ("char-gpu", {**MIDDLE, "precision": "float32"}),
    "6 x 384, 8,192 ids, bfloat16": ("char-gpu", {**MIDDLE, "precision": "bfloat16"}),
    "GPT-2 124M, batch 1, bfloat16": (
        "gpt2-124m",
        {"batch_size": 1, "precision": "bfloat16"},
    ),
    "GPT-2 124M, batch 1, float32": ("gpt2-124m", {"batch_size": 1, "precision": "float32"}),
    "GPT-2 124M, batch 4, bfloat16": (
        "gpt2-124m",
        {"batch_size": 4, "precision": "bfloat16"},
    ),
}


def main(word: str = "") -> None:
    """Measure and print the cases with `word` in their names."""
    print(
        f"{'peak memory, GB':32}{'computed':>10}{'measured':>10}{'error':>8}   training  evaluation  saving"
    )
    for name, (base, changes) in CASES.items():
        if word not in name:
            continue
        config = from_dict(changes, preset(base))
        plan = memory_plan(config)
        try:
            trial = try_out(config, steps=1)
        except KgptFailure as failure:
            print(f"{name:32}{plan.peak / 1e9:10.2f}   {failure.message[:80]}", flush=True)
            continue
        computed = (plan.step, plan.evaluation, plan.checkpoint)
        phases = "  ".join(
            f"{(plan.held + size) / 1e9:.2f}/{trial.peaks[phase] / 1e9:.2f}"
            for size, phase in zip(computed, ("training", "evaluation", "saving"), strict=True)
        )
        error = plan.peak / trial.peak_memory - 1
        print(
            f"{name:32}{plan.peak / 1e9:10.2f}{trial.peak_memory / 1e9:10.2f}{error:+8.1%}   {phases}",
            flush=True,
        )


# === The factors ===

SMALL = {"vocabulary_size": 64, "num_layers": 1, "num_heads": 4, "width": 64, "context_length": 64}
PROBES: dict[str, tuple[dict[str, Any], int]] = {
    "nothing": ({"context_length": 16}, 1),
    "layers": ({"num_layers": 8, "context_length": 16}, 1),
    "width": ({"num_layers": 4, "width": 512, "feed_forward_width": 64}, 64),
    "hidden": ({"num_layers": 4, "feed_forward_width": 4096}, 64),
    "scores": ({"num_layers": 4, "context_length": 448}, 8),
    "one layer's scores": ({"context_length": 448}, 24),
    "logits": ({"vocabulary_size": 32768}, 64),
    "embedding": ({"vocabulary_size": 50000, "width": 1024, "context_length": 8}, 1),
    "matrices": ({"num_layers": 8, "width": 1024, "context_length": 8}, 1),
}
"""Models in which one thing outweighs the others, and their batch sizes."""


def factors(precision: str, xla: str) -> None:
    """Measure the probes, and print the factors that explain their peaks best, none below zero."""
    rows, peaks = [], []
    for name, (changes, batch_size) in PROBES.items():
        model = {**SMALL, **changes}
        values = {"model": model, "batch_size": batch_size, "precision": precision, "xla": xla}
        config = from_dict(values)
        trial = try_out(config, steps=1)
        rows.append(list(step_counts(config).values()))
        peaks.append(trial.peaks["training"] - _states(config))
        print(
            f"{name:20}",
            {phase: f"{size / 1e9:.2f}" for phase, size in trial.peaks.items()},
            flush=True,
        )
    found = _least_squares(np.array(rows, "float64"), np.array(peaks, "float64"))
    names = list(step_counts(config))
    print({name: float(f"{value:.3g}") for name, value in zip(names, found, strict=True)})


def _states(config: TrainConfig) -> int:
    return FLOAT32 * (parameter_count(config.model) + optimizer_values(config))


def _least_squares(counts: Any, peaks: Any) -> Any:
    """Relative errors squared are least; a factor that comes out below zero is left out."""
    scaled = counts / peaks[:, None]
    active = list(range(counts.shape[1]))
    while True:
        found, *_ = np.linalg.lstsq(scaled[:, active], np.ones(len(peaks)), rcond=None)
        if (found >= 0).all():
            result = np.zeros(counts.shape[1])
            result[active] = found
            return result
        active.pop(int(np.argmin(found)))


if __name__ == "__main__":
    if sys.argv[1:] == ["factors"]:
        for precision, xla in (("float32", "on"), ("float32", "off"), ("bfloat16", "off")):
            print(f"\n{precision}, XLA {xla}")
            factors(precision, xla)
    else:
        main(*sys.argv[1:2])
