"""Sizes against numbers that others published, a built model, and sums written out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tiny import MODERN_SHAPE

from kgpt.config import ModelConfig
from kgpt.model.size import matrix_parameters, parameters_by_part, training_flops_per_token
from kgpt.presets import preset


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-124m", 124_439_808),
        ("gpt2-355m", 354_823_168),
        ("gpt2-774m", 774_030_080),
        ("gpt2-1558m", 1_557_611_200),
    ],
)
def test_gpt2_has_the_parameters_that_its_authors_released(name, parameters):
    assert sum(parameters_by_part(preset(name).model).values()) == parameters


VARIANTS = [
    ModelConfig(vocabulary_size=50, context_length=8, num_layers=2, num_heads=2, width=12),
    ModelConfig(
        vocabulary_size=50, context_length=8, num_layers=1, num_heads=2, width=12, bias=False
    ),
    dataclasses.replace(MODERN_SHAPE, tied_head=True),
    dataclasses.replace(MODERN_SHAPE, bias=True, norm="layer", positions="learned"),
    MODERN_SHAPE,
]


@pytest.mark.parametrize("config", VARIANTS)
def test_parts_are_those_of_the_built_model(config):
    from kgpt.model.gpt import build_gpt

    model = build_gpt(config)
    places = {
        "token_embedding": "token embedding", "position_embedding": "position embedding",
        "head": "head", "norm": "norms", "attention": "attention", "feed_forward": "feed-forward",
    }  # fmt: skip
    counted: dict[str, int] = {}
    for variable in model.trainable_variables:
        layer = variable.path.split("/")[-2] if "norm" in variable.path else variable.path
        name = next(part for word, part in places.items() if word in layer)
        counted[name] = counted.get(name, 0) + int(np.prod(variable.shape))
    assert counted == parameters_by_part(config)


@pytest.mark.parametrize("config", VARIANTS)
def test_matrix_parameters_are_the_matrices_of_the_blocks_and_the_head(config):
    from kgpt.model.gpt import build_gpt

    blocks = [v for v in build_gpt(config).trainable_variables if "/block_" in v.path]
    matrices = sum(int(np.prod(v.shape)) for v in blocks if len(v.shape) == 2)
    assert matrix_parameters(config) == matrices + config.vocabulary_size * config.width


def test_operations_of_gpt2_written_out():
    model = preset("gpt2-124m").model
    matrices = 12 * (4 * 768 * 768 + 2 * 768 * 3072) + 50257 * 768
    assert matrix_parameters(model) == matrices == 123_532_032
    assert training_flops_per_token(model) == 6 * matrices + 12 * 12 * 768 * 1024 == 854_438_400


def test_operations_are_those_of_the_matrix_products():
    """A forward pass counted product by product, for one sequence; attention over the whole context."""
    c = ModelConfig(vocabulary_size=31, context_length=16, num_layers=3, num_heads=2, width=8)
    time, width, hidden = c.context_length, c.width, c.hidden_width
    layer = 4 * 2 * time * width * width + 2 * 2 * time * width * hidden
    attention = 2 * (2 * time * time * width)
    forward = c.num_layers * (layer + attention) + 2 * time * width * c.vocabulary_size
    assert 3 * forward == training_flops_per_token(c) * time
