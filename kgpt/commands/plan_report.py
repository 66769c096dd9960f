"""A plan as text for the terminal: reads the object of `plan_facts`, and computes nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from kgpt.language import _
from kgpt.training.layout import COMPUTE_OPTIMAL_TOKENS
from kgpt.training.machine import gigabytes

NAME_WIDTH, VALUE_WIDTH = 23, 14


PHASES = {"training": "while training", "evaluation": "in evaluations", "saving": "while saving"}


def print_here(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on one machine."""
    _print_model(plan, plan["vocabulary_source"])
    print()
    _print_memory(plan)
    print()
    _print_time(plan)
    print()
    disk = [(name, gigabytes(size), "") for name, size in plan["disk"].items() if size]
    _print_lines("disk", disk)
    print()
    if plan["fits"]:
        print(
            _(
                "Fits: {peak_memory} of {available}.",
                peak_memory=gigabytes(plan["peak_memory"]),
                available=plan["available"],
            )
        )
    else:
        print(
            _(
                "Does not fit: {peak_memory}; there is {available}.",
                peak_memory=gigabytes(plan["peak_memory"]),
                available=plan["available"],
            )
        )
        print(textwrap.fill(plan["advice"], 78, break_on_hyphens=False))


def _print_memory(plan: Mapping[str, Any]) -> None:
    memory, phases = plan["memory"], plan["phases"]
    rows = [
        ("program", memory["program"], "libraries and the compiled step"),
        ("weights", memory["weights"], "float32"),
        ("optimizer", memory["optimizer"], ""),
        ("gradients", memory["gradients"], "and weights being renewed"),
        ("activations", memory["activations"], f"{plan['precision']}, kept for going backward"),
        ("logits and loss", memory["logits"], ""),
        ("evaluation", memory["evaluation"], "in place of the three above"),
        ("saving", memory["checkpoint"], "likewise"),
        ("peak", plan["peak_memory"], PHASES[max(phases, key=phases.__getitem__)]),
    ]
    if plan["measured_peak_memory"]:
        rows.append(("measured peak", plan["measured_peak_memory"], "of the trial"))
    _print_lines("memory", [(name, gigabytes(size), note) for name, size, note in rows])


def _print_time(plan: Mapping[str, Any]) -> None:
    time = plan["time"]
    rate = f"{time['flops_per_second'] / 1e9:,.0f} GFLOP/s"
    share = "assumed" if plan["first_step_seconds"] is None else "measured"
    speed = f"{time['tokens_per_second']:,.0f} tokens a second"
    amount = f"{time['steps']:,} steps, {_count(time['tokens'])} tokens"
    rows = [
        ("matrix products", rate, "float32, all cores; one was timed now"),
        ("share of it", f"{time['utilization']:.0%}", share),
        ("step", _seconds(time["step_seconds"]), speed),
        ("all steps", _seconds(time["seconds"]), amount),
    ]
    _print_lines("time", rows)


def print_on_paper(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on devices that need not be here."""
    _print_model(plan, "tokens")
    layout, device = plan["layout"], plan["device"]
    ratio = plan["tokens_a_parameter"]
    tokens = f"{ratio:,.0f} a parameter (compute-optimal: {COMPUTE_OPTIMAL_TOKENS})"
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
    title = _("layout on {devices} x {name}", devices=plan["devices"], name=device["name"])
    _print_lines(title, [(name, str(value), note) for name, value, note in rows])
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
    print(_("assumed (replace with --assumptions FILE)"))
    values = {
        **plan["assumptions"],
        **{f"devices.{k}": v for k, v in plan["device"].items() if k != "name"},
    }
    for name, value in values.items():
        if value:
            print(f"  {name:<32}{value:>9,.10g}")


def _not_in_kgpt(pipeline: int) -> str:
    return " (which kgpt itself has not)" if pipeline > 1 else ""


# === Lines ===


def _print_model(plan: Mapping[str, Any], vocabulary: str) -> None:
    cost = _count(plan["flops_per_token"])
    parts = [(name, f"{count:,}", "") for name, count in plan["parameters_by_part"].items()]
    rows = [
        *parts,
        ("parameters", f"{plan['parameters']:,}", ""),
        ("FLOPs a token", cost, "training, forward and backward"),
        ("vocabulary", f"{plan['vocabulary_size']:,}", vocabulary),
    ]
    _print_lines("model", rows)


def _print_lines(title: str, rows: list[tuple[str, str, str]]) -> None:
    print(title)
    for name, value, note in rows:
        print(_line(name, value, note))


def _line(name: str, value: str, note: str) -> str:
    return f"  {name:<{NAME_WIDTH}}{value:>{VALUE_WIDTH}}  {note}".rstrip()


TIME_UNITS = (("ms", 1e-3, 1.0), ("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172800.0))
"""Unit, its seconds, and the seconds from which on the next one is used."""


def _seconds(seconds: float) -> str:
    """Seconds in the unit that people would use."""
    unit, size = next(
        ((unit, size) for unit, size, limit in TIME_UNITS if seconds < limit), ("days", 86400.0)
    )
    number = seconds / size
    return f"{number:,.1f} {unit}" if number < 100 else f"{number:,.0f} {unit}"


def _count(number: float) -> str:
    """A large number with its unit."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:,.0f}"
