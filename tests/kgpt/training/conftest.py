from __future__ import annotations

import dataclasses

import pytest

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig

TEXT = "".join(
    f"O número {n} vem antes do número {n + 1}, e {n * 7 % 10} é outro número.\n"
    for n in range(120)
)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A small prepared corpus in bytes."""
    from kgpt.text.prepare import prepare

    folder = tmp_path_factory.mktemp("data")
    (folder / "numbers.txt").write_text(TEXT, encoding="utf-8")
    prepare(
        [folder / "numbers.txt"], output=folder / "numbers", tokenizer="bytes", validation="tail"
    )
    return folder / "numbers"


@pytest.fixture
def config(data) -> TrainConfig:
    """A run of twelve steps with dropout, Muon and everything else that has state."""
    return TrainConfig(
        data=str(data),
        run="tiny",
        model=ModelConfig(
            context_length=16,
            num_layers=1,
            num_heads=2,
            width=16,
            dropout=0.1,
            norm="rms",
            positions="rotary",
        ),
        optimizer=OptimizerConfig(name="muon", warmup_steps=2),
        steps=12,
        xla="off",  # compiling takes longer than all the steps
        batch_size=4,
        evaluate_every=6,
        checkpoint_every=4,
        log_every=2,
        sample_prompts=("O número",),
    )


@pytest.fixture
def train(tmp_path):
    """`train(config, ...)` into a folder of the test's own."""
    from kgpt.training.trainer import train

    def run(config: TrainConfig, resume: bool = False, reporter=None, **changes):
        return train(
            dataclasses.replace(config, **changes),
            saved_models=tmp_path / "runs",
            resume=resume,
            reporter=reporter,
        )

    return run


TIMES = ("seconds", "tokens_per_second", "mfu")


def timeless(rows):
    """Rows of `metrics.jsonl` without what the clock has to do with."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def saved(run, step: int) -> dict[str, bytes]:
    """The tensors of a checkpoint, by file."""
    folder = run.checkpoints_folder / f"step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


@pytest.fixture
def same_end():
    """`same_end(one, other, step)`: logs, samples and checkpoints of two runs are equal, to the bit."""

    def compare(one, other, step: int) -> None:
        assert timeless(one.metrics()) == timeless(other.metrics())
        assert one.samples() == other.samples()
        assert saved(one, step) and saved(one, step) == saved(other, step)

    return compare
