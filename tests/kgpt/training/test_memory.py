"""The memory model: sums by hand, and that more of anything never needs less."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kgpt.config import ModelConfig, OptimizerConfig, TrainConfig
from kgpt.model.size import parameters_by_part
from kgpt.presets import preset
from kgpt.training import memory
from kgpt.training.memory import memory_plan, optimizer_values


@st.composite
def configurations(draw) -> TrainConfig:
    heads = draw(st.sampled_from([1, 2, 4, 8]))
    model = ModelConfig(
        vocabulary_size=draw(st.integers(2, 60000)),
        context_length=draw(st.integers(1, 4096)),
        num_layers=draw(st.integers(1, 48)),
        num_heads=heads,
        num_kv_heads=draw(st.sampled_from([0, 1, heads])),
        width=heads * 2 * draw(st.integers(1, 100)),
        feed_forward_width=draw(st.integers(0, 5000)),
        positions=draw(st.sampled_from(["learned", "rotary"])),
        activation=draw(st.sampled_from(["gelu", "swiglu"])),
        tied_head=draw(st.booleans()),
        bias=draw(st.booleans()),
    )
    name = draw(st.sampled_from(["adamw", "muon"]))
    return TrainConfig(
        model=model,
        optimizer=OptimizerConfig(name=name, ema_decay=draw(st.sampled_from([0.0, 0.99]))),
        batch_size=draw(st.integers(1, 64)),
        gradient_accumulation=draw(st.integers(1, 8)),
        precision=draw(st.sampled_from(["float32", "bfloat16"])),
        xla=draw(st.sampled_from(["auto", "on", "off"])),
    )


LARGER = {
    "batch_size": lambda c, n: dataclasses.replace(c, batch_size=c.batch_size + n),
    "gradient_accumulation": lambda c, n: dataclasses.replace(
        c, gradient_accumulation=c.gradient_accumulation + n
    ),
    "context_length": lambda c, n: _model(c, context_length=c.model.context_length + n),
    "num_layers": lambda c, n: _model(c, num_layers=c.model.num_layers + n),
    "width": lambda c, n: _model(c, width=c.model.width + 2 * c.model.num_heads * n),
    "vocabulary_size": lambda c, n: _model(c, vocabulary_size=c.model.vocabulary_size + n),
    "feed_forward_width": lambda c, n: _model(c, feed_forward_width=c.model.hidden_width + n),
}


def _model(config, **changes):
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


@pytest.mark.parametrize("what", LARGER)
@settings(max_examples=40, deadline=None)
@given(config=configurations(), more=st.integers(1, 50), on_gpu=st.booleans())
def test_more_never_needs_less(what, config, more, on_gpu):
    length, limit = config.model.context_length, memory.BLOCKWISE_FROM
    # a longer context needs less where attention begins to go block by block
    if what == "context_length":
        assume((length < limit) == (length + more < limit))
    before = memory_plan(config, on_gpu=on_gpu)
    after = memory_plan(LARGER[what](config, more), on_gpu=on_gpu)
    for part, size in dataclasses.asdict(before).items():
        assert dataclasses.asdict(after)[part] >= size, part
    assert after.peak >= before.peak


@settings(deadline=None)
@given(config=configurations(), on_gpu=st.booleans())
def test_the_peak_is_what_is_held_and_the_largest_phase(config, on_gpu):
    plan = memory_plan(config, on_gpu=on_gpu)
    parts = dataclasses.asdict(plan)
    assert all(isinstance(size, int) and size >= 0 for size in parts.values())
    step = parts["gradients"] + parts["activations"] + parts["logits"]
    held = parts["program"] + parts["weights"] + parts["optimizer"]
    assert plan.peak == held + max(step, parts["evaluation"], parts["checkpoint"])


def test_a_checkpoint_that_is_written_while_training_goes_on_comes_on_top():
    """Where a checkpoint is followed by an evaluation, training waits for both."""
    waits = dataclasses.replace(preset("gpt2-124m"), checkpoint_every=500, evaluate_every=250)
    beside = dataclasses.replace(waits, checkpoint_every=100)
    before, after = memory_plan(waits).phases, memory_plan(beside).phases
    assert after["training"] - before["training"] == memory_plan(waits).checkpoint
    assert {**after, "training": 0} == {**before, "training": 0}


def test_the_limits_are_those_of_the_code_that_has_them():
    from kgpt.evaluation import loss
    from kgpt.model import causal_attention, cross_entropy

    assert memory.BLOCKWISE_FROM == causal_attention.SHORTEST
    assert memory.QUERY_BLOCK == causal_attention.BLOCK
    assert memory.CHUNK_BYTES == cross_entropy.CHUNK_BYTES
    assert memory.SMALLEST_CHUNK == cross_entropy.SMALLEST_CHUNK
    assert memory.EVALUATION_TOKENS == loss.TOKENS_AT_ONCE


@given(tokens=st.integers(1, 10**6), vocabulary=st.integers(2, 200_000))
def test_a_chunk_is_at_least_as_large_as_the_loss_makes_it(tokens, vocabulary):
    from kgpt.model.cross_entropy import chunk_size

    model = ModelConfig(vocabulary_size=vocabulary)
    assert 4 * vocabulary * chunk_size(tokens, vocabulary) <= memory.logit_bytes(tokens, model)


def test_memory_grows_with_the_context_and_not_with_its_square():
    def activations(length):
        model = dataclasses.replace(preset("gpt2-124m").model, context_length=length)
        config = dataclasses.replace(preset("gpt2-124m"), model=model, batch_size=1)
        return memory_plan(config).activations

    assert activations(8192) < 2.01 * activations(4096)


def test_weights_and_adamw_of_gpt2_are_12_bytes_a_parameter():
    plan = memory_plan(preset("gpt2-124m"))
    assert plan.weights == 4 * 124_439_808 and plan.optimizer == 8 * 124_439_808


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_optimizer_values_are_those_that_the_optimizer_makes(name):
    from kgpt.training.preparation import compiled_model

    model = ModelConfig(
        vocabulary_size=50, context_length=8, num_layers=2, num_heads=2, width=12, tied_head=False
    )
    config = TrainConfig(model=model, optimizer=OptimizerConfig(name=name))
    built = compiled_model(config)
    kept = [variable for variable in built.optimizer.variables if len(variable.shape)]
    assert optimizer_values(config) == sum(math.prod(variable.shape) for variable in kept)


def test_what_an_option_costs():
    plain = dataclasses.replace(preset("gpt2-124m"), precision="float32")
    parameters = sum(parameters_by_part(plain.model).values())
    before = memory_plan(plain)
    averaged = dataclasses.replace(
        plain, optimizer=dataclasses.replace(plain.optimizer, ema_decay=0.99)
    )
    assert memory_plan(averaged).weights == 2 * before.weights
    accumulated = memory_plan(dataclasses.replace(plain, gradient_accumulation=2))
    assert accumulated.gradients - before.gradients == 4 * parameters
    assert accumulated.activations == before.activations
    muon = dataclasses.replace(plain, optimizer=OptimizerConfig(name="muon"))
    blocks = 12 * (4 * 768 * 768 + 2 * 768 * 3072)
    assert before.optimizer - memory_plan(muon).optimizer == 4 * blocks
    again = memory_plan(dataclasses.replace(plain, remat=True))
    assert again.activations < before.activations / 2 and again.gradients == before.gradients
    half = dataclasses.replace(plain, precision="bfloat16", xla="on")
    assert memory_plan(half).activations < before.activations
    assert memory_plan(dataclasses.replace(plain, xla="off")) != before


def test_saving_takes_nothing_of_a_gpu():
    """A snapshot is copied into main memory before it is written."""
    config = preset("gpt2-1558m")
    plan = memory_plan(config, on_gpu=True)
    assert plan.checkpoint == 0
    assert plan.phases["saving"] == plan.held
    assert memory_plan(config).checkpoint > plan.weights
