"""A plan as text for the terminal: reads the object of `plan_facts`, and computes nothing."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from kgpt.language import N_, _, number
from kgpt.training.layout import COMPUTE_OPTIMAL_TOKENS
from kgpt.training.machine import gigabytes

NAME_WIDTH, VALUE_WIDTH = 23, 14


PHASES = {
    "training": N_("while training"),
    "evaluation": N_("in evaluations"),
    "saving": N_("while saving"),
}


NAMES = (
    N_("token embedding"),
    N_("position embedding"),
    N_("attention"),
    N_("feed-forward"),
    N_("norms"),
    N_("head"),
    N_("gathered weights"),
    N_("logits"),
    N_("reserved"),
    N_("arithmetic"),
    N_("tensor communication"),
    N_("data communication"),
    N_("checkpoints"),
    N_("checkpoint being written"),
    N_("data"),
)
"""What a plan calls parts of a model, of memory, of time and of the disk, beside the words used here."""


def print_here(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on one machine."""
    _print_model(plan, plan["vocabulary_source"])
    print()
    _print_memory(plan)
    print()
    _print_time(plan)
    print()
    disk = [(_(name), gigabytes(size), "") for name, size in plan["disk"].items() if size]
    _print_lines(_("disk"), disk)
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
        (_("program"), memory["program"], _("libraries and the compiled step")),
        (_("weights"), memory["weights"], "float32"),
        (_("optimizer"), memory["optimizer"], ""),
        (_("gradients"), memory["gradients"], _("and weights being renewed")),
        (
            _("activations"),
            memory["activations"],
            _("{precision}, kept for going backward", precision=plan["precision"]),
        ),
        (_("logits and loss"), memory["logits"], ""),
        (_("evaluation"), memory["evaluation"], _("in place of the three above")),
        (_("saving"), memory["checkpoint"], _("likewise")),
        (_("peak"), plan["peak_memory"], _(PHASES[max(phases, key=phases.__getitem__)])),
    ]
    if plan["measured_peak_memory"]:
        rows.append((_("measured peak"), plan["measured_peak_memory"], _("of the trial")))
    _print_lines(_("memory"), [(name, gigabytes(size), note) for name, size, note in rows])


def _print_time(plan: Mapping[str, Any]) -> None:
    time = plan["time"]
    rate = number(time["flops_per_second"] / 1e9, ",.0f") + " GFLOP/s"
    share = _("assumed") if plan["first_step_seconds"] is None else _("measured")
    speed = _("{rate:,.0f} tokens a second", rate=time["tokens_per_second"])
    amount = _(
        "{steps:,} steps, {tokens} tokens", steps=time["steps"], tokens=_count(time["tokens"])
    )
    rows = [
        (_("matrix products"), rate, _("float32, all cores; one was timed now")),
        (_("share of it"), number(time["utilization"], ".0%"), share),
        (_("step"), _seconds(time["step_seconds"]), speed),
        (_("all steps"), _seconds(time["seconds"]), amount),
    ]
    _print_lines(_("time"), rows)


def print_on_paper(plan: Mapping[str, Any]) -> None:
    """Print the plan of a run on devices that need not be here."""
    _print_model(plan, _("tokens"))
    layout, device = plan["layout"], plan["device"]
    ratio = plan["tokens_a_parameter"]
    tokens = _(
        "{ratio:,.0f} a parameter (compute-optimal: {optimal})",
        ratio=ratio,
        optimal=COMPUTE_OPTIMAL_TOKENS,
    )
    print(_line(_("tokens"), _count(plan["tokens"]), tokens))
    print(_line(_("operations"), number(plan["total_flops"], ".2e"), ""))
    print()
    rows = [
        (_("replicas"), layout["replicas"], _("data parallelism")),
        (_("shards"), layout["shards"], _("of weights and optimizer")),
        (_("tensor"), layout["tensor"], _("devices that share each matrix")),
        (_("pipeline"), layout["pipeline"], _("stages") + _not_in_kgpt(layout["pipeline"])),
        (
            _("micro-batch"),
            layout["micro_batch"],
            _("sequences of {length:,} tokens", length=plan["context_length"]),
        ),
        (_("accumulation"), layout["accumulation"], _("micro-batches an update")),
        (
            _("recompute"),
            _("yes") if layout["recompute"] else _("no"),
            _("activation checkpointing"),
        ),
        (_("batch"), _count(plan["tokens_per_step"]), _("tokens an update, over all devices")),
    ]
    title = _("layout on {devices} x {name}", devices=plan["devices"], name=device["name"])
    _print_lines(title, [(name, str(value), note) for name, value, note in rows])
    print()
    memory = [(_(name), gigabytes(size), "") for name, size in plan["memory"].items() if size]
    room = _("of {memory} usable", memory=gigabytes(plan["usable_device_memory"]))
    _print_lines(
        _("memory a device"), [*memory, (_("in all"), gigabytes(plan["device_memory"]), room)]
    )
    print()
    parts = [
        (_(name), _seconds(time), "") for name, time in plan["seconds_by_part"].items() if time
    ]
    speed = _(
        "{rate:,.0f} tokens/s, {utilization:.0%} of peak",
        rate=plan["tokens_per_second"],
        utilization=plan["utilization"],
    )
    _print_lines(
        _("time an update"), [*parts, (_("in all"), _seconds(plan["step_seconds"]), speed)]
    )
    print()
    rows = [
        (_("time"), _seconds(plan["hours"] * 3600), _("{count:,} updates", count=plan["steps"])),
        (_("device hours"), number(plan["device_hours"], ",.0f"), ""),
        (_("energy"), number(plan["energy_kwh"], ",.0f") + " kWh", ""),
        (
            _("cost"),
            "$" + number(plan["cost"], ",.0f"),
            _("at ${price:.2f} a device and hour", price=device["price_per_hour"]),
        ),
    ]
    _print_lines(_("the whole run"), rows)
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
            print(f"  {name:<32}{number(value, ',.10g'):>9}")


def _not_in_kgpt(pipeline: int) -> str:
    return _(" (which kgpt itself has not)") if pipeline > 1 else ""


# === Lines ===


def _print_model(plan: Mapping[str, Any], vocabulary: str) -> None:
    cost = _count(plan["flops_per_token"])
    parts = [
        (_(name), number(count, ","), "") for name, count in plan["parameters_by_part"].items()
    ]
    rows = [
        *parts,
        (_("parameters"), number(plan["parameters"], ","), ""),
        (_("FLOPs a token"), cost, _("training, forward and backward")),
        (_("vocabulary"), number(plan["vocabulary_size"], ","), vocabulary),
    ]
    _print_lines(_("model"), rows)


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
        ((unit, size) for unit, size, limit in TIME_UNITS if seconds < limit), (_("days"), 86400.0)
    )
    amount = seconds / size
    return f"{number(amount, ',.1f' if amount < 100 else ',.0f')} {unit}"


def _count(amount: float) -> str:
    """A large number with its unit."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if amount >= size:
            return f"{number(amount / size, ',.1f')} {unit}"
    return number(amount, ",.0f")
