"""A base and labelled texts for tests of fine-tuning, and a call that tunes the one on the other."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tiny import MODERN_SHAPE, write_run

from kgpt.config import OptimizerConfig, TrainConfig
from kgpt.finetune_config import ClassifyConfig
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

CONFIG = TrainConfig(
    optimizer=OptimizerConfig(learning_rate=1e-2, warmup_steps=2),
    xla="off",
    batch_size=8,
    epochs=3.0,
    log_every=2,
    early_stopping=0,
    precision="float32",
)


def write_texts(file: Path) -> Path:
    """Forty messages of two labels, of different lengths; who has learned the word knows the label."""
    rows = [f"ham\tsee you at {n}, {'dear ' * (n % 4)}ok" for n in range(20)]
    rows += [f"spam\twin {n} now {'!' * (n % 5)}" for n in range(20)]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def write_base(folder: Path, shape=MODERN_SHAPE, seed: int = 1) -> RunFolder:
    """A run with random weights, none of them zero."""
    from kgpt.model.gpt import build_gpt

    return write_run(folder, build_gpt(shape, seed=seed), Tokenizer.bytes())


def planned(base: RunFolder, data: Path, name: str, settings=None, every_epoch=False, **changes):
    """What is planned for the run `name` beside the base."""
    from kgpt.model.tensors import model_config
    from kgpt.text.labelled import read_examples
    from kgpt.training.finetuning import plan_classifier

    settings = settings or ClassifyConfig(shares=("0.6", "0.2", "0.2"))
    values = {"evaluate_every": 3, "checkpoint_every": 3, **changes}
    config = dataclasses.replace(
        CONFIG, run=name, data=str(data), **{"model": model_config(base), **values}
    )
    found = read_examples(data, drop_copies=settings.duplicates == "drop")
    folder = base.path.parent
    checkpoint = base.checkpoint()
    return plan_classifier(
        base, checkpoint, found, config, settings, folder, every_epoch=every_epoch
    )


def tuned(base: RunFolder, data: Path, name: str, settings=None, reporter=None, **changes):
    """The outcome of such a plan."""
    from kgpt.training.finetuning import finetune_classifier

    return finetune_classifier(planned(base, data, name, settings, **changes), reporter)
