"""Layouts on paper: sums by hand, and what every layout must satisfy."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.model.size import training_flops_per_token
from kgpt.presets import preset
from kgpt.training.devices import read_assumptions
from kgpt.training.layout import (
    Task,
    activation_bytes,
    best_layout,
    devices_needed,
    divisors,
    layouts,
    memory_of_device,
    wanted_sequences,
)


def task(name="gpt2-1558m", devices=64, device="h100", **changes) -> Task:
    found, assumed = read_assumptions(device)
    config = dataclasses.replace(preset(name), **{"precision": "bfloat16", **changes})
    return Task(config=config, tokens=10**9, devices=devices, device=found, assumed=assumed)


def test_every_layout_uses_all_devices_and_divides_the_model():
    asked = task(devices=60)
    found = list(layouts(asked))
    assert found
    for layout in found:
        d = layout.degrees
        assert d.replicas * d.shards * d.tensor * d.pipeline == 60
        assert 25 % d.tensor == 0 and 48 % d.pipeline == 0
        assert d.tensor <= asked.device.node_devices
        assert d.sequences == d.replicas * d.shards * d.micro_batch * d.accumulation
        assert all(size >= 0 for size in (*layout.memory.values(), *layout.seconds.values()))


def test_the_best_layout_is_the_fastest_that_fits_but_for_two_per_cent():
    asked = task()
    best = best_layout(asked)
    fitting = [x for x in layouts(asked) if x.device_memory <= memory_of_device(asked)]
    same_batch = [x for x in fitting if x.degrees.sequences == best.degrees.sequences]
    assert best.device_memory <= memory_of_device(asked)
    assert best.degrees.sequences == wanted_sequences(asked) == 512
    assert best.step_seconds <= 1.02 * min(x.step_seconds for x in same_batch)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["gpt2-124m", "gpt2-774m", "gpt2-1558m"]),
    devices=st.integers(1, 200),
    device=st.sampled_from(["h100", "t4", "rtx-4090", "tpu-v5e"]),
)
def test_what_is_proposed_fits(name, devices, device):
    asked = task(name, devices, device, precision="float32")
    best = best_layout(asked)
    if best is not None:
        assert best.device_memory <= memory_of_device(asked)
    else:
        needed = devices_needed(asked)
        assert needed is None or best_layout(dataclasses.replace(asked, devices=needed))


def test_one_device_communicates_nothing():
    seconds = best_layout(task(devices=1)).seconds
    assert seconds["tensor communication"] == seconds["data communication"] == 0
    assert seconds["pipeline"] == 0


def test_arithmetic_of_one_device_written_out():
    asked = task("gpt2-124m", devices=1)
    best = best_layout(asked)
    work = training_flops_per_token(asked.config.model) * best.degrees.sequences * 1024
    expected = work / (989e12 * asked.assumed.efficiency)
    assert best.seconds["arithmetic"] == pytest.approx(expected)


def test_memory_of_replicas_and_of_shards_written_out():
    asked = task("gpt2-124m", devices=8)
    by_degrees = {
        (x.degrees.shards, x.degrees.tensor, x.degrees.pipeline): x.memory for x in layouts(asked)
    }
    whole, sharded = by_degrees[1, 1, 1], by_degrees[8, 1, 1]
    states = ("weights", "gradients", "optimizer")
    assert sum(whole[name] for name in states) == pytest.approx(16 * 124_439_808)
    assert sum(sharded[name] for name in states) == pytest.approx(16 * 124_439_808 / 8)
    assert whole["gathered weights"] == 0 < sharded["gathered weights"]


def test_sharding_takes_more_time_and_less_memory_than_replicas():
    asked = task(devices=16)
    alike = [
        x
        for x in layouts(asked)
        if (x.degrees.tensor, x.degrees.pipeline, x.degrees.micro_batch) == (1, 1, 1)
        and not x.degrees.recompute
    ]
    by_shards = {x.degrees.shards: x for x in alike}
    assert by_shards[16].device_memory < by_shards[1].device_memory
    assert by_shards[16].seconds["data communication"] > 0


def test_activations_are_korthikantis_34_bytes_a_value_of_the_width():
    with_dropout = dataclasses.replace(
        preset("gpt2-1558m"),
        precision="bfloat16",
        model=dataclasses.replace(preset("gpt2-1558m").model, dropout=0.1),
    )
    assert activation_bytes(with_dropout, recompute=False) == 34 * 1600
    assert activation_bytes(with_dropout, recompute=True) == 2 * 1600


def test_more_devices_are_faster_until_they_wait_for_each_other():
    times = [best_layout(task(devices=n)).sequence_seconds for n in (1, 2, 4, 8, 16, 32, 64)]
    assert times == sorted(times, reverse=True)
    assert times[0] / times[-1] > 32


def test_an_average_of_the_weights_takes_memory():
    config = preset("gpt2-124m")
    averaged = dataclasses.replace(config.optimizer, ema_decay=0.99)
    plain, kept = task("gpt2-124m", 1), task("gpt2-124m", 1, optimizer=averaged)
    memory = [next(iter(layouts(t))).memory["weights"] for t in (plain, kept)]
    assert memory[1] == 2 * memory[0]


def test_a_model_that_one_device_cannot_hold_gets_a_number_of_devices():
    asked = task(devices=1, device="t4", precision="float32")
    assert best_layout(asked) is None
    needed = devices_needed(asked)
    assert needed > 1 and best_layout(dataclasses.replace(asked, devices=needed)) is not None


def test_a_precision_that_the_device_lacks():
    with pytest.raises(KgptError) as caught:
        best_layout(task(device="t4"))
    assert "no bfloat16" in caught.value.message


@given(st.integers(1, 10**6))
def test_divisors(number):
    found = divisors(number)
    assert found == sorted(set(found)) and found[0] == 1 and found[-1] == number
    assert all(number % divisor == 0 for divisor in found)
    if number < 2000:
        assert found == [d for d in range(1, number + 1) if number % d == 0]
