"""A plan on paper: how to spread a training run over many devices, and what that takes.

In: a configuration, a number of tokens and of devices, a `Device`, the `Assumptions`. Out: the fastest `Layout` that
fits, with its memory by part, the time of a step by part, hours, energy and cost.

A model is replicated over `replicas` groups; in each, weights, gradients and optimiser lie in `shards` parts (ZeRO
stage 3, Rajbhandari et al., 2020, arXiv:1910.02054), matrices are cut over `tensor` devices, and layers over `pipeline`
stages (Narayanan et al., 2021, arXiv:2104.04473). replicas * shards * tensor * pipeline = devices.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from kgpt.config import ModelConfig, TrainConfig
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.model.size import parameter_count, parameters_by_part, training_flops_per_token
from kgpt.training.devices import Assumptions, Device
from kgpt.training.memory import FLOAT32, optimizer_values, value_bytes

MICRO_BATCHES = tuple(2**power for power in range(9))
MOST_DEVICES = 2**20

COMPUTE_OPTIMAL_TOKENS = 20
"""Tokens a parameter that make the best model of a given amount of computing (Hoffmann et al., 2022,
arXiv:2203.15556, table 3)."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What shall be trained, and on what."""

    config: TrainConfig
    tokens: int
    devices: int
    device: Device
    assumed: Assumptions


@dataclass(frozen=True, kw_only=True)
class Degrees:
    """How a run is cut."""

    replicas: int
    shards: int
    tensor: int
    pipeline: int
    micro_batch: int
    """Sequences that a group of devices works on at once."""
    accumulation: int
    """Micro-batches, one after another, that make an update."""
    recompute: bool
    """Activation checkpointing: only the input of each layer is kept, and the layer computed again."""

    @property
    def sequences(self) -> int:
        """Sequences an update, over all devices."""
        return self.replicas * self.shards * self.micro_batch * self.accumulation


@dataclass(frozen=True)
class Layout:
    """One way to spread a run, with its memory in bytes a device and its seconds an update."""

    degrees: Degrees
    memory: dict[str, float]
    seconds: dict[str, float]

    @property
    def device_memory(self) -> float:
        """Bytes that a device needs."""
        return sum(self.memory.values())

    @property
    def step_seconds(self) -> float:
        """Seconds an update."""
        return sum(self.seconds.values())

    @property
    def sequence_seconds(self) -> float:
        """Seconds for each sequence, all devices at work."""
        return self.step_seconds / self.degrees.sequences


def best_layout(task: Task) -> Layout | None:
    """The fastest layout that fits into the devices' memory; None if none does.

    Of layouts within two per cent of the fastest, the one with fewer kinds of parallelism is taken.
    """
    _flops(task)
    room = memory_of_device(task)
    fitting = [layout for layout in layouts(task) if layout.device_memory <= room]
    if not fitting:
        return None
    wanted = wanted_sequences(task)
    closest = min(abs(layout.degrees.sequences - wanted) for layout in fitting)
    allowed = max(closest, wanted // 50)  # the batch that was asked for, as nearly as it divides
    chosen = [one for one in fitting if abs(one.degrees.sequences - wanted) <= allowed]
    fastest = min(one.sequence_seconds for one in chosen)
    return min((o for o in chosen if o.sequence_seconds <= 1.02 * fastest), key=_complexity)


def _complexity(layout: Layout) -> tuple[float, ...]:
    d = layout.degrees
    return (d.pipeline > 1, d.tensor > 1, d.recompute, d.shards > 1, layout.sequence_seconds)


def memory_of_device(task: Task) -> float:
    """Bytes of a device that a layout may fill."""
    return task.device.memory_gb * 1e9 * task.assumed.usable_memory


def devices_needed(task: Task) -> int | None:
    """The smallest power of two of devices on which some layout fits; None if there is none up to a million."""
    count = 1
    while count <= MOST_DEVICES:
        smaller = dataclasses.replace(task, devices=count)
        if any(one.device_memory <= memory_of_device(task) for one in layouts(smaller)):
            return count
        count *= 2
    return None


def layouts(task: Task) -> Iterator[Layout]:
    """Every way that divides devices, heads, layers and batch without a remainder."""
    for degrees in _degrees(task):
        yield Layout(degrees, _memory(task, degrees), _seconds(task, degrees))


def _degrees(task: Task) -> Iterator[Degrees]:
    c, wanted = task.config.model, wanted_sequences(task)
    for tensor in divisors(math.gcd(task.devices, c.kv_heads)):
        if tensor > task.device.node_devices or c.hidden_width % tensor:
            continue
        for pipeline in divisors(math.gcd(task.devices // tensor, c.num_layers)):
            data = task.devices // tensor // pipeline
            micro_batches = [b for b in MICRO_BATCHES if b == 1 or data * b <= 1.5 * wanted]
            for shards, micro_batch, recompute in itertools.product(
                divisors(data), micro_batches, (False, True)
            ):
                yield Degrees(
                    replicas=data // shards,
                    shards=shards,
                    tensor=tensor,
                    pipeline=pipeline,
                    micro_batch=micro_batch,
                    accumulation=max(1, round(wanted / (data * micro_batch))),
                    recompute=recompute,
                )


def divisors(number: int) -> list[int]:
    """All divisors, in order."""
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})


def activation_bytes(config: TrainConfig, recompute: bool) -> float:
    """Bytes a token and layer that the backward pass needs, on one device.

    For 2-byte values, GPT-2's proportions and dropout it is 34 * width, as in Korthikanti et al., 2022
    (arXiv:2205.05198), equation 6: the attention's scores are computed again in the backward pass, as in flash
    attention. With `recompute` a layer keeps its input alone.
    """
    c, value = config.model, value_bytes(config)
    if recompute:
        return value * c.width
    kv = c.kv_heads * c.head_dim
    hidden = (3 if c.activation == "swiglu" else 2) * c.hidden_width
    norms, inputs = 2 * c.width, 2 * c.width
    attention = c.width + 2 * kv + c.width  # queries, keys and values, and the heads' results
    masks = 2 * c.width if c.dropout else 0  # a byte each
    return value * (norms + inputs + attention + hidden) + masks


# === One layout ===


def _local_parameters(model: ModelConfig, tensor: int, pipeline: int) -> tuple[float, float]:
    """Parameters of the largest pipeline stage's device, before sharding, and of one of its layers.

    With a pipeline, token embedding and head lie on the first and the last stage; a tied one on both.
    """
    parts = parameters_by_part(model)
    layer = (parts["attention"] + parts["feed-forward"] + parts["norms"]) / model.num_layers
    embedding = parts["token embedding"] + (parts.get("head", 0) if pipeline == 1 else 0)
    others = embedding + parts.get("position embedding", 0)
    return (layer * model.num_layers / pipeline + others) / tensor, layer / tensor


def _memory(task: Task, degrees: Degrees) -> dict[str, float]:
    config, c, assumed, d = task.config, task.config.model, task.assumed, degrees
    local, layer = _local_parameters(c, d.tensor, d.pipeline)
    slots = optimizer_values(config) / parameter_count(c)
    value = value_bytes(config)
    tokens = d.micro_batch * c.context_length
    # the first stage has as many micro-batches under way as there are stages: the layers of the whole model
    in_flight = min(d.accumulation, d.pipeline) * c.num_layers / d.pipeline
    kept = tokens * in_flight * activation_bytes(config, d.recompute) / d.tensor
    working = tokens * activation_bytes(config, False) / d.tensor if d.recompute else 0.0
    logit_tokens = min(tokens, assumed.logit_tokens)
    embedding = c.vocabulary_size * c.width / d.tensor
    gathered = value * (2 * layer + embedding) if d.shards > 1 else 0.0
    average = 2 if config.optimizer.ema_decay else 1
    return {
        "weights": FLOAT32 * average * local / d.shards,
        "gradients": FLOAT32 * local / d.shards,
        "optimizer": FLOAT32 * slots * local / d.shards,
        "gathered weights": gathered,
        "activations": kept + working,
        "logits": 2.0 * FLOAT32 * logit_tokens * c.vocabulary_size / d.tensor,
        "reserved": assumed.reserved_gb * 1e9,
    }


def _seconds(task: Task, degrees: Degrees) -> dict[str, float]:
    c, device, assumed, d = task.config.model, task.device, task.assumed, degrees
    local, _ = _local_parameters(c, d.tensor, d.pipeline)
    tokens = d.micro_batch * c.context_length
    value = value_bytes(task.config)
    work = training_flops_per_token(c) * tokens * (4 / 3 if d.recompute else 1.0)
    compute = d.accumulation * work / (d.tensor * d.pipeline * _flops(task) * assumed.efficiency)
    node = device.node_gb_per_second * 1e9 * assumed.bandwidth_efficiency
    network = device.network_gb_per_second * 1e9 * assumed.bandwidth_efficiency
    # each layer sums what attention and feed-forward give over the tensor group, forward and backward
    sums = (6 if d.recompute else 4) * c.num_layers / d.pipeline
    vectors = value * tokens * c.width
    tensor_seconds = d.accumulation * sums * 2 * (d.tensor - 1) / d.tensor * vectors / node
    inside = node if d.shards * d.tensor <= device.node_devices else network
    gathers = 2 * value + FLOAT32  # weights for both passes, and the gradients' sum
    sharding = d.accumulation * gathers * local * (d.shards - 1) / d.shards / inside
    whole = task.devices <= device.node_devices
    outside = node if whole else network
    data = 2 * FLOAT32 * local / d.shards * (d.replicas - 1) / d.replicas / outside
    # the sum over the replicas can hide behind the last micro-batch alone
    exposed = max(0.0, sharding - assumed.overlap * compute)
    exposed += max(0.0, data - assumed.overlap * compute / d.accumulation)
    links = 2 * d.accumulation * vectors / outside if d.pipeline > 1 else 0.0
    # weights, gradients and two moments are read, and all but the gradients written
    moved = 7 * FLOAT32 * local / d.shards
    return {
        "arithmetic": compute,
        "tensor communication": tensor_seconds,
        "data communication": exposed,
        "pipeline": (compute + tensor_seconds) * (d.pipeline - 1) / d.accumulation + links,
        "optimizer": moved / (device.memory_gb_per_second * 1e9),
    }


def _flops(task: Task) -> float:
    """Peak rate of a device in the run's precision.

    Raises:
        KgptError: it cannot compute in that precision.
    """
    flops = task.device.flops(task.config.precision)
    if not flops:
        raise KgptError(
            _("The device lacks the precision"),
            _("{name} has no {precision}.", name=task.device.name, precision=task.config.precision),
            _("Choose another with --precision, or another --device."),
        )
    return flops


def wanted_sequences(task: Task) -> int:
    """Sequences that an update shall have."""
    return max(1, round(task.assumed.batch_tokens / task.config.model.context_length))
