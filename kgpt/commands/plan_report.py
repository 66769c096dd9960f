"""A plan as an object for `--json` and as text for the terminal.

In: what `kgpt.training.planning` and `kgpt.training.layout` computed. Out: plain dictionaries of numbers, and their
print-out, which reads them and computes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kgpt.config import TrainConfig
from kgpt.errors import KgptError
from kgpt.model.size import matrix_parameters, parameters_by_part, training_flops_per_token
from kgpt.training.layout import (
    COMPUTE_OPTIMAL_TOKENS,
    Task,
    best_layout,
    devices_needed,
    memory_of_device,
)
from kgpt.training.machine import Machine, gigabytes
from kgpt.training.memory import memory_plan
from kgpt.training.planning import Time, advice, disk_use, find_remedy, fits
from kgpt.training.trial import Trial

NAME_WIDTH, VALUE_WIDTH = 23, 14


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
        "phases": {
            "training": memory.held + memory.step,
            "evaluation": memory.held + memory.evaluation,
            "saving": memory.held + memory.checkpoint,
        },
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


def print_here(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on one machine."""
    _print_model(plan, f"{plan['vocabulary_size']:,} ids: {plan['vocabulary_source']}")
    memory = plan["memory"]
    rows = [
        ("program", memory["program"], "libraries and the compiled step"),
        ("weights", memory["weights"], "float32"),
        ("optimizer", memory["optimizer"], ""),
        ("gradients", memory["gradients"], "and weights being renewed"),
        ("activations", memory["activations"], f"{plan['precision']}, kept for going backward"),
        ("logits and loss", memory["logits"], ""),
        ("evaluation", memory["evaluation"], "in place of the three above"),
        ("saving", memory["checkpoint"], "likewise"),
        ("peak", plan["peak_memory"], _peak_note(plan)),
    ]
    print()
    _print_lines("memory", [(name, gigabytes(value), note) for name, value, note in rows])
    if plan["measured_peak_memory"]:
        print(_line("measured peak", gigabytes(plan["measured_peak_memory"]), "of the trial"))
    print()
    time, disk = plan["time"], plan["disk"]
    rate = f"{time['flops_per_second'] / 1e9:,.0f} GFLOP/s"
    rows_of_time = [
        ("matrix products", rate, "float32, all cores; one was timed now"),
        (
            "share of it",
            f"{time['utilization']:.0%}",
            "measured" if plan["first_step_seconds"] else "assumed",
        ),
        (
            "step",
            _seconds(time["step_seconds"]),
            f"{time['tokens_per_second']:,.0f} tokens a second",
        ),
        (
            "all steps",
            _seconds(time["seconds"]),
            f"{time['steps']:,} steps, {_count(time['tokens'])} tokens",
        ),
    ]
    _print_lines("time", rows_of_time)
    print()
    rows_of_disk = [(name, gigabytes(value), "") for name, value in disk.items() if value]
    _print_lines("disk", rows_of_disk)
    print()
    if plan["fits"]:
        print(f"Fits: {gigabytes(plan['peak_memory'])} of {plan['available']}.")
    else:
        print(f"Does not fit: {gigabytes(plan['peak_memory'])}; there is {plan['available']}.")
        print(plan["advice"])


def _peak_note(plan: Mapping[str, Any]) -> str:
    phase = max(plan["phases"], key=plan["phases"].__getitem__)
    return (
        f"while {'training' if phase == 'training' else phase}"
        if phase != "evaluation"
        else "in evaluations"
    )


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
    message = f"No layout of this model on {name} stays within {room} a device."
    if count is None:
        return KgptError(
            "Does not fit",
            message,
            "Choose another --device, a shorter --context-length, or a smaller model.",
        )
    return KgptError(
        "Does not fit", message, f"--devices {count} does, or a --device with more memory."
    )


def print_on_paper(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on devices that need not be here."""
    _print_model(plan, f"{plan['vocabulary_size']:,} ids")
    layout, device = plan["layout"], plan["device"]
    tokens = (
        f"{plan['tokens_a_parameter']:,.0f} a parameter (compute-optimal: {COMPUTE_OPTIMAL_TOKENS})"
    )
    print(_line("tokens", _count(plan["tokens"]), tokens))
    print(_line("operations", f"{plan['total_flops']:.2e}", ""))
    print()
    rows = [
        ("replicas", layout["replicas"], "data parallelism"),
        ("shards", layout["shards"], "of weights and optimizer"),
        ("tensor", layout["tensor"], "devices that share each matrix"),
        ("pipeline", layout["pipeline"], "stages" + _not_in_kgpt(layout["pipeline"])),
        ("micro-batch", layout["micro_batch"], f"sequences of {plan['context_length']:,} tokens"),
        ("accumulation", layout["accumulation"], "micro-batches an update"),
        ("recompute", "yes" if layout["recompute"] else "no", "activation checkpointing"),
        ("batch", _count(plan["tokens_per_step"]), "tokens an update, over all devices"),
    ]
    _print_lines(
        f"layout on {plan['devices']} x {device['name']}", [(a, str(b), c) for a, b, c in rows]
    )
    print()
    memory = [(name, gigabytes(size), "") for name, size in plan["memory"].items() if size]
    room = f"of {gigabytes(plan['usable_device_memory'])} usable"
    _print_lines("memory a device", [*memory, ("in all", gigabytes(plan["device_memory"]), room)])
    print()
    parts = [(name, _seconds(time), "") for name, time in plan["seconds_by_part"].items() if time]
    speed = f"{plan['tokens_per_second']:,.0f} tokens/s, {plan['utilization']:.0%} of peak"
    _print_lines("time an update", [*parts, ("in all", _seconds(plan["step_seconds"]), speed)])
    print()
    rows = [
        ("time", _seconds(plan["hours"] * 3600), f"{plan['steps']:,} updates"),
        ("device hours", f"{plan['device_hours']:,.0f}", ""),
        ("energy", f"{plan['energy_kwh']:,.0f} kWh", ""),
        ("cost", f"${plan['cost']:,.0f}", f"at ${device['price_per_hour']:.2f} a device and hour"),
    ]
    _print_lines("the whole run", rows)
    print()
    _print_assumptions(plan)


def _print_assumptions(plan: Mapping[str, Any]) -> None:
    print("assumed (replace with --assumptions FILE)")
    values = {
        **plan["assumptions"],
        **{f"devices.{k}": v for k, v in plan["device"].items() if k != "name"},
    }
    rows = [(name, f"{value:,.10g}") for name, value in values.items() if value]
    for name, value in rows:
        print(f"  {name:<32}{value:>{VALUE_WIDTH - 9}}".rstrip())


def _not_in_kgpt(pipeline: int) -> str:
    return " (which kgpt itself has not)" if pipeline > 1 else ""


# === Lines ===


def _print_model(plan: Mapping[str, Any], vocabulary: str) -> None:
    _print_lines(
        "model",
        [
            *((name, f"{count:,}", "") for name, count in plan["parameters_by_part"].items()),
            ("parameters", f"{plan['parameters']:,}", ""),
            (
                "FLOPs a token",
                f"{_count(plan['flops_per_token'])}",
                "training, forward and backward",
            ),
            ("vocabulary", "", vocabulary),
        ],
    )


def _print_lines(title: str, rows: list[tuple[str, str, str]]) -> None:
    print(title)
    for name, value, note in rows:
        print(_line(name, value, note))


def _line(name: str, value: str, note: str) -> str:
    return f"  {name:<{NAME_WIDTH}}{value:>{VALUE_WIDTH}}  {note}".rstrip()


def _seconds(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    for unit, size, limit in (
        ("ms", 1e-3, 1.0),
        ("s", 1.0, 120.0),
        ("min", 60.0, 7200.0),
        ("h", 3600.0, 172800.0),
    ):
        if seconds < limit:
            return (
                f"{seconds / size:,.1f} {unit}"
                if seconds / size < 100
                else f"{seconds / size:,.0f} {unit}"
            )
    return f"{seconds / 86400:,.1f} days"


def _count(number: float) -> str:
    """A large number with its unit."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:,.0f}"
