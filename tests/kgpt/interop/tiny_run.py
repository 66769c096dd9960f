"""A run with random weights, whose greedy text varies with the prompt and ends early now and then."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from tiny import MODERN_SHAPE, write_run

from kgpt.model.gpt import build_gpt
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

TEXT = "Marte é um planeta vermelho. A capital da França é Paris. " * 3 + "ação, não, pão 😀 " * 3


def make_run(folder: Path) -> RunFolder:
    """Write the run; its context holds 32 tokens."""
    tokenizer, random = Tokenizer.train([TEXT], 320), np.random.default_rng(0)
    size = tokenizer.vocabulary_size
    shape = dataclasses.replace(MODERN_SHAPE, vocabulary_size=size, context_length=32)
    model = build_gpt(shape)
    for variable in model.weights:
        if len(variable.shape) == 2:
            variable.assign(random.normal(0, 0.7, variable.shape))
    scale_V = np.where(np.arange(size) == tokenizer.end_of_text, 1.4, 1.0)
    model.head.kernel.assign(model.head.kernel * scale_V)
    return write_run(folder, model, tokenizer)
