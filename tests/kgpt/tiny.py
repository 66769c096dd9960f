"""Tiny models and run folders for tests: in, a configuration and a text; out, a run that wrote that text by heart."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from kgpt.config import ModelConfig, TrainConfig
from kgpt.config_values import to_dict
from kgpt.files import write_json
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

TEXT = "Olá, coração! A maçã é vermelha 🍎 e o avião voa até São João. 👩‍🚀 Fim."
"""Two to four bytes a character, and an emoji of several."""

GPT2_SHAPE = ModelConfig(
    vocabulary_size=257, context_length=128, num_layers=1, num_heads=4, width=64
)
MODERN_SHAPE = ModelConfig(
    vocabulary_size=257,
    context_length=40,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    width=32,
    feed_forward_width=64,
    positions="rotary",
    norm="rms",
    qk_norm=True,
    activation="swiglu",
    bias=False,
    tied_head=False,
)


def memorise(config: ModelConfig, tokenizer: Tokenizer, text: str, steps: int = 120):
    """A model that, asked for the most probable tokens, writes `text` from its beginning and ends it."""
    import keras

    from kgpt.model.gpt import build_gpt

    end, ids = tokenizer.end_of_text, tokenizer.encode(text)
    rows = np.array(
        [[end, *ids, end], [*ids, end, end]], dtype="int32"
    )  # prompts begin in both ways
    x, y = rows[:, :-1], rows[:, 1:]
    model = build_gpt(config, seed=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=loss)
    model.fit(np.tile(x, (steps, 1)), np.tile(y, (steps, 1)), batch_size=2, verbose=0)
    return model


LABELS = ("ham", "spam", "ads")


def write_classifier(folder: Path, **settings) -> RunFolder:
    """A run that gives `LABELS` to texts, with random weights that tell texts apart."""
    import keras

    from kgpt.finetune_config import ClassifyConfig, to_values
    from kgpt.model.classifier import build_classifier
    from kgpt.runs import CLASSIFICATION

    chosen = ClassifyConfig(labels=LABELS, **settings)
    keras.utils.set_random_seed(5)
    model = build_classifier(MODERN_SHAPE, chosen, seed=5)
    model.head.kernel.assign(keras.random.normal(model.head.kernel.shape))
    run = write_run(folder, model, Tokenizer.bytes())
    write_json(
        run.run_file, {**run.read(), "task": CLASSIFICATION, "finetuning": to_values(chosen)}
    )
    return run


def write_run(folder: Path, model, tokenizer: Tokenizer, step: int = 10) -> RunFolder:
    """The run folder `folder` with one checkpoint, as the trainer leaves it."""
    from kgpt.model.tensors import WEIGHTS_FILE, save_tensors
    from kgpt.model.weights import model_weights, tensors_of

    run = RunFolder(Path(folder))
    checkpoint = run.checkpoints_folder / f"step-{step:08d}"
    checkpoint.mkdir(parents=True)
    tokenizer.save(run.tokenizer_folder)
    configuration = to_dict(TrainConfig(run=run.name, model=model.config))
    write_json(run.run_file, {"format_version": 1, "task": "train", "configuration": configuration})
    save_tensors(checkpoint / WEIGHTS_FILE, tensors_of(model_weights(model)), {})
    digest = hashlib.sha256((checkpoint / WEIGHTS_FILE).read_bytes()).hexdigest()
    state = {"step": step, "sha256": {WEIGHTS_FILE: digest}, "validation_loss": 1.5}
    (checkpoint / "state.json").write_text(json.dumps(state))
    for name in ("best", "last"):
        write_json(run.checkpoints_folder / f"{name}.json", {"step": step})
    run.write_status("finished", step=step)
    return run


def write_chat(folder: Path) -> RunFolder:
    """A run that answers, in whatever way its random weights say."""
    from kgpt.model.gpt import build_gpt
    from kgpt.model.vocabulary import with_tokens
    from kgpt.text.templates import CHAT

    tokenizer = with_tokens(Tokenizer.bytes(), CHAT.special_tokens)
    shape = dataclasses.replace(MODERN_SHAPE, vocabulary_size=tokenizer.vocabulary_size)
    run = write_run(folder, build_gpt(shape, seed=3), tokenizer)
    values = {**run.read(), "task": "instruction", "template": CHAT.to_values()}
    write_json(run.run_file, values)
    return run
