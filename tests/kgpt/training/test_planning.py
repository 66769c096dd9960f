"""Does it fit, what would, and how long does it take: advice that is followed must hold."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpt.config_values import from_dict, parse_override
from kgpt.errors import KgptError, KgptFailure
from kgpt.presets import PRESETS, preset
from kgpt.training.machine import Machine
from kgpt.training.memory import memory_plan
from kgpt.training.planning import (
    SAFE_SHARE,
    advice,
    advice_after_out_of_memory,
    check_fits,
    computed_time,
    disk_use,
    find_remedy,
    fits,
    is_out_of_memory,
    measured_time,
    with_precision,
)

GPT2 = dataclasses.replace(preset("gpt2-124m"), precision="bfloat16")


def machine(gigabytes: float) -> Machine:
    return Machine(int(gigabytes * 1e9), f"{gigabytes} GB")


def with_options(config, options: str):
    """The configuration with command-line options such as `--batch-size 4`, taken from the text of a remedy."""
    words = options.split()
    keys = {
        "--batch-size": "batch_size", "--gradient-accumulation": "gradient_accumulation",
        "--context-length": "model.context_length",
    }  # fmt: skip
    for option, value in zip(words[::2], words[1::2], strict=True):
        if option == "--set":
            config = from_dict(parse_override(value), config)
            continue
        key = keys[option].split(".")
        nested = {key[0]: {key[1]: int(value)}} if len(key) == 2 else {key[0]: int(value)}
        config = from_dict(nested, config)
    return config


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(sorted(PRESETS)),
    memory=st.floats(1.0, 60.0),
    batch_size=st.integers(1, 100),
    accumulation=st.integers(1, 8),
)
def test_advice_that_is_followed_fits(name, memory, batch_size, accumulation):
    config = dataclasses.replace(
        preset(name), batch_size=batch_size, gradient_accumulation=accumulation
    )
    there = machine(memory)
    remedy = find_remedy(config, there)
    if fits(config, there):
        check_fits(config, there)
        return
    with pytest.raises(KgptError) as refused:
        check_fits(config, there)
    assert refused.value.exit_code == 2
    if remedy is None:
        assert "No batch or context fits" in refused.value.hint
        return
    followed = with_options(config, remedy.options)
    assert followed == remedy.config and remedy.options in refused.value.hint
    assert memory_plan(followed).peak == remedy.peak <= SAFE_SHARE * there.memory
    check_fits(followed, there)
    if remedy.effect.startswith("the same updates"):
        assert followed.tokens_per_step == config.tokens_per_step


def test_the_first_remedy_keeps_the_update_and_is_the_largest_batch_that_fits():
    config = dataclasses.replace(GPT2, batch_size=16)
    plans = {
        size: memory_plan(dataclasses.replace(config, batch_size=size, gradient_accumulation=16 // size))
        for size in (8, 4, 2)
    }  # fmt: skip
    room = (plans[4].peak + plans[8].peak) / 2 / SAFE_SHARE / 1e9
    remedy = find_remedy(config, machine(room))
    assert remedy.options == "--batch-size 4 --gradient-accumulation 4"
    assert remedy.effect == "the same updates"


def ladder(config) -> dict[str, int]:
    """What each remedy needs, in the order in which they are tried, each kind's smallest."""
    one = dataclasses.replace(config, batch_size=1, gradient_accumulation=config.sequences_per_step)
    again = dataclasses.replace(one, remat=True)
    alone = dataclasses.replace(again, gradient_accumulation=1)
    steps = {"as it is": config, "accumulated": one, "remat": again, "alone": alone}
    return {name: memory_plan(step).peak for name, step in steps.items()}


def room_between(more: int, less: int) -> Machine:
    assert more > less
    return machine((more + less) / 2 / SAFE_SHARE / 1e9)


def test_where_no_batch_fits_the_blocks_are_computed_again():
    needs = ladder(GPT2)
    remedy = find_remedy(GPT2, room_between(needs["accumulated"], needs["remat"]))
    assert "--set remat=true" in remedy.options and "third slower" in remedy.effect
    assert remedy.config.remat and remedy.config.tokens_per_step == GPT2.tokens_per_step


def test_where_the_accumulated_gradients_do_not_fit_a_smaller_batch_alone_may():
    small = from_dict({"optimizer": {"name": "muon"}, "evaluate_every": 7}, GPT2)
    needs = ladder(small)
    remedy = find_remedy(small, room_between(needs["remat"], needs["alone"]))
    assert remedy.config.gradient_accumulation == 1 and remedy.config.batch_size < 8
    assert remedy.effect == f"updates of {remedy.config.batch_size} sequences"


def test_then_the_context_gets_shorter():
    config = dataclasses.replace(GPT2, evaluate_every=7)
    room = machine(0.999 * ladder(config)["alone"] / SAFE_SHARE / 1e9)
    remedy = find_remedy(config, room)
    assert "--context-length" in remedy.options
    assert remedy.config.model.context_length < GPT2.model.context_length


def test_a_model_that_fits_nowhere_gets_other_advice():
    text = advice(preset("gpt2-1558m"), machine(8))
    assert "No batch or context fits" in text and "kgpt plan --device" in text


def test_out_of_memory_is_a_failure_with_advice_below_what_was_tried():
    """The calculation said that it fits, and it did not: what is proposed must need less than the run did."""
    there = machine(1000)
    check_fits(GPT2, there)
    failure = advice_after_out_of_memory(GPT2, there)
    assert isinstance(failure, KgptFailure) and failure.exit_code == 1
    options = failure.hint.split(": ")[1].split("   ")[0]
    assert memory_plan(with_options(GPT2, options)).peak < 0.8 * memory_plan(GPT2).peak


class ResourceExhaustedError(Exception):
    """TensorFlow's has this name."""


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (MemoryError(), True),
        (ResourceExhaustedError("OOM"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes"), True),
        (ValueError("OOM when allocating tensor with shape[8,1024]"), True),
        (RuntimeError("shapes do not match"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_errors_that_say_that_memory_ran_out(error, answer):
    assert is_out_of_memory(error) is answer


def test_errors_of_real_libraries():
    import numpy as np

    with pytest.raises(MemoryError) as caught:
        np.zeros(2**60, dtype="uint8")
    assert is_out_of_memory(caught.value)
    import tensorflow as tf

    error = tf.errors.ResourceExhaustedError(None, None, "failed to allocate")
    assert is_out_of_memory(error)


def test_a_precision_that_is_left_open_is_that_of_the_machine(tmp_path, monkeypatch):
    open_config = dataclasses.replace(GPT2, precision="auto")
    assert with_precision(open_config, machine(8)).precision == "float32"
    assert with_precision(GPT2, machine(8)) == GPT2
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 9.0\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    on_gpu = dataclasses.replace(machine(80), gpu="H100")
    assert with_precision(open_config, on_gpu).precision == "bfloat16"


def test_time_is_work_over_rate_and_share():
    config = dataclasses.replace(GPT2, precision="float32", batch_size=2, steps=10)
    time = computed_time(config, 1e12)
    work = 854_438_400 * 2 * 1024
    assert time.step_seconds == pytest.approx(work / (1e12 * time.utilization))
    assert time.steps == 10 and time.seconds == pytest.approx(10 * time.step_seconds)
    assert time.tokens_per_second == pytest.approx(2048 / time.step_seconds)
    assert computed_time(config, 2e12).seconds == pytest.approx(time.seconds / 2)


def test_tokens_and_minutes_and_steps_limit_the_steps():
    config = dataclasses.replace(GPT2, batch_size=2, gradient_accumulation=2, steps=1000)
    assert measured_time(config, 1e12, 2.0).steps == 1000
    assert measured_time(config, 1e12, 2.0, tokens=10**6).steps == math.ceil(10**6 / 4096)
    assert measured_time(dataclasses.replace(config, minutes=1.0), 1e12, 2.0).steps == 30
    assert measured_time(dataclasses.replace(config, minutes=99.0), 1e12, 2.0).steps == 1000


def test_measured_time_gives_the_utilization():
    config = dataclasses.replace(GPT2, batch_size=1)
    time = measured_time(config, 1e12, 2.0)
    assert time.utilization == pytest.approx(854_438_400 * 1024 / 2.0 / 1e12)


def test_disk_holds_the_kept_checkpoints_and_the_best():
    one = 12 * 124_439_808  # weights and two moments, float32
    found = disk_use(dataclasses.replace(GPT2, keep=3), data=77)
    assert found == {"checkpoints": 4 * one, "checkpoint being written": one, "data": 77}
