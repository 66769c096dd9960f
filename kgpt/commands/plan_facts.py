"""A plan as an object, for `--json` and for the print-out.

In: what `kgpt.training.planning` and `kgpt.training.layout` compute. Out: plain dictionaries of numbers and texts.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from kgpt.config import TrainConfig
from kgpt.errors import KgptError
from kgpt.language import _
from kgpt.model.size import matrix_parameters, parameters_by_part, training_flops_per_token
from kgpt.training.layout import Task, best_layout, devices_needed, memory_of_device
from kgpt.training.machine import Machine, gigabytes
from kgpt.training.memory import memory_plan
from kgpt.training.planning import Time, advice, disk_use, find_remedy, fits
from kgpt.training.trial import Trial


def model_facts(config: TrainConfig) -> dict[str, Any]:
    """Parameters and operations of a model."""
    parts = parameters_by_part(config.model)
    return {
        "parameters": sum(parts.values()),
        "parameters_by_part": parts,
        "matrix_parameters": matrix_parameters(config.model),
        "flops_per_token": training_flops_per_token(config.model),
        "vocabulary_size": config.model.vocabulary_size,
        "context_length": config.model.context_length,
        "batch_size": config.batch_size,
        "gradient_accumulation": config.gradient_accumulation,
        "precision": config.precision,
    }


# === This machine ===


def here(
    config: TrainConfig,
    machine: Machine,
    time: Time,
    data: int,
    vocabulary_source: str,
    trial: Trial | None,
) -> dict[str, Any]:
    """The plan of a run on one machine."""
    memory = memory_plan(config, on_gpu=bool(machine.gpu))
    remedy = None if fits(config, machine) else find_remedy(config, machine)
    parts = dataclasses.asdict(memory)
    return {
        **model_facts(config),
        "vocabulary_source": vocabulary_source,
        "memory": parts,
        "phases": memory.phases,
        "peak_memory": memory.peak,
        "measured_peak_memory": trial.peak_memory if trial else None,
        "available_memory": machine.memory,
        "available": machine.described,
        "fits": fits(config, machine),
        "remedy": {"options": remedy.options, "effect": remedy.effect, "peak_memory": remedy.peak}
        if remedy
        else None,
        "advice": None if fits(config, machine) else advice(config, machine),
        "time": {**dataclasses.asdict(time), "tokens": time.steps * config.tokens_per_step},
        "first_step_seconds": trial.first_step_seconds if trial else None,
        "disk": disk_use(config, data),
    }


# === On paper ===


def on_paper(task: Task) -> dict[str, Any]:
    """The plan of a run on devices that need not be here.

    Raises:
        KgptError: no layout fits.
    """
    layout = best_layout(task)
    if layout is None:
        raise _nothing_fits(task)
    degrees, config, assumed = layout.degrees, task.config, task.assumed
    tokens_per_step = degrees.sequences * config.model.context_length
    steps = max(1, -(-task.tokens // tokens_per_step))
    training = steps * layout.step_seconds
    hours = training / assumed.availability / 3600
    facts = model_facts(config)
    work = facts["flops_per_token"] * tokens_per_step
    peak = task.device.flops(config.precision) * task.devices
    draw = task.device.watts * assumed.power_share * assumed.overhead_power
    return {
        **facts,
        "batch_size": degrees.micro_batch,
        "gradient_accumulation": degrees.accumulation,
        "device": dataclasses.asdict(task.device),
        "devices": task.devices,
        "tokens": task.tokens,
        "tokens_a_parameter": task.tokens / facts["parameters"],
        "layout": dataclasses.asdict(degrees),
        "tokens_per_step": tokens_per_step,
        "steps": steps,
        "memory": layout.memory,
        "device_memory": layout.device_memory,
        "usable_device_memory": memory_of_device(task),
        "seconds_by_part": layout.seconds,
        "step_seconds": layout.step_seconds,
        "tokens_per_second": tokens_per_step / layout.step_seconds,
        "utilization": work / layout.step_seconds / peak,
        "total_flops": facts["flops_per_token"] * task.tokens,
        "hours": hours,
        "device_hours": hours * task.devices,
        "energy_kwh": training / 3600 * task.devices * draw / 1000,
        "cost": hours * task.devices * task.device.price_per_hour,
        "assumptions": dataclasses.asdict(assumed),
    }


def _nothing_fits(task: Task) -> KgptError:
    count = devices_needed(task)
    room = gigabytes(memory_of_device(task))
    name = f"{task.devices} x {task.device.name}"
    message = _(
        "No layout of this model on {name} stays within {room} a device.", name=name, room=room
    )
    if count is None:
        return KgptError(
            _("Does not fit"),
            message,
            _("Choose another --device, a shorter --context-length, or a smaller model."),
        )
    return KgptError(
        _("Does not fit"),
        message,
        _("--devices {count} does, or a --device with more memory.", count=count),
    )
