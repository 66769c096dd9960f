"""The plan beside what child processes really take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kgpt.commands import main
from kgpt.config import ModelConfig, TrainConfig
from kgpt.config_values import from_dict
from kgpt.errors import KgptFailure
from kgpt.presets import preset
from kgpt.training.memory import memory_plan
from kgpt.training.trial import peak_memory, try_out

TINY = (
    "--preset", "char-cpu", "--context-length", "32", "--batch-size", "4", "--steps", "50",
    "--set", "model.num_layers=2", "--set", "model.width=32", "--set", "model.vocabulary_size=257",
    "--set", "xla=off",
)  # fmt: skip


def test_a_measured_plan_of_a_tiny_model(capsys):
    assert main(["plan", *TINY, "--measure", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert plan["peak_memory"] == pytest.approx(plan["measured_peak_memory"], rel=0.35)
    time = plan["time"]
    assert 0 < time["step_seconds"] < plan["first_step_seconds"]
    assert time["seconds"] == pytest.approx(50 * time["step_seconds"])
    assert time["source"] == "steps of this run, timed now"


def test_a_trial_that_fails_says_so():
    wide = ModelConfig(vocabulary_size=2, context_length=1, num_layers=1, num_heads=1, width=2**22)
    with pytest.raises(KgptFailure) as caught:
        try_out(TrainConfig(model=wide, batch_size=1))
    assert caught.value.title == "The trial failed" and caught.value.message


def test_the_peak_of_this_process_grows_with_what_it_takes():
    before = peak_memory()
    block = bytearray(before + 50_000_000)
    assert peak_memory() >= len(block)


SIZES = {
    "demo": ("demo", {"model": {"vocabulary_size": 4096}}),
    "6 x 384, float32": (
        "char-gpu",
        {
            "batch_size": 16,
            "precision": "float32",
            "model": {"vocabulary_size": 8192, "dropout": 0.0},
        },
    ),
    "6 x 384, bfloat16": (
        "char-gpu",
        {
            "batch_size": 16,
            "precision": "bfloat16",
            "model": {"vocabulary_size": 8192, "dropout": 0.0},
        },
    ),
    "GPT-2 124M, bfloat16": ("gpt2-124m", {"batch_size": 1, "precision": "bfloat16"}),
}


def multiplies_bfloat16() -> bool:
    """Whether the processor does; on Linux, elsewhere no."""
    information = Path("/proc/cpuinfo")
    flags = information.read_text() if information.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


@pytest.mark.long
@pytest.mark.parametrize("name", SIZES)
def test_computed_peaks_are_within_15_per_cent_of_measured_ones(name):
    base, changes = SIZES[name]
    if "124M" in name and not multiplies_bfloat16():
        pytest.skip("this processor has no bfloat16: TensorFlow then takes more memory for it")
    config = from_dict(changes, preset(base))
    assert memory_plan(config).peak == pytest.approx(try_out(config, steps=1).peak_memory, rel=0.15)
