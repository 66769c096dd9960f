"""The machine in words: lines of the System screen, and the report that goes with a bug."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size

from kgpt.errors import KgptError
from kgpt.language import _, number
from workbench import wording
from workbench.machine import Gpu, Load, Reading
from workbench.run_summary import RunSummary
from workbench.widgets.colors import muted

ALMOST_FULL = 0.95
BAR_CELLS = 8


def size(number: float | None) -> str:
    """`12.5 GB`."""
    if number is None:
        return wording.UNKNOWN
    return (
        _("{number:.1f} GB", number=number / 1e9)
        if number >= 1e8
        else _("{number:.0f} MB", number=number / 1e6)
    )


def _bar(share: float, is_bad: bool = False) -> Content:
    done, rest = wording.bar(min(share, 1.0), BAR_CELLS)
    return Content.assemble((done, "$error" if is_bad else "$primary"), (rest, "$foreground-muted"))


def cpu(load: Load, processor: str) -> Content:
    """`CPU  34 % of 8 cores`."""
    return Content.assemble(
        (_("CPU").ljust(8), "bold"),
        _bar(load.cpu),
        " " + _("{cpu:4.0%} of {cores} cores", cpu=load.cpu, cores=load.cores),
        muted(f"\n{processor}"),
    )


def memory(load: Load) -> Content:
    """`Memory  3.1 GB of 8.0 GB`."""
    share = load.used_bytes / max(1, load.total_bytes)
    text = " " + _(
        "{used_bytes} of {total_bytes}",
        used_bytes=size(load.used_bytes),
        total_bytes=size(load.total_bytes),
    )
    return Content.assemble((_("Memory").ljust(8), "bold"), _bar(share, share > ALMOST_FULL), text)


def curve(shares: Sequence[float], width: int) -> Content:
    """The newest shares as bars, from nothing to all, the newest at the right."""
    highest = len(wording.BARS) - 1
    bars = [wording.BARS[round(min(max(share, 0.0), 1.0) * highest)] for share in shares]
    return Content.styled("".join(bars[-width:]).rjust(width), "$primary")


def gpus(load: Load) -> Content:
    """A line for each GPU, and who computes on them."""
    lines = [_gpu(gpu) for gpu in load.gpus]
    lines += [
        muted(f"        {process.pid} {process.name}  {size(process.used_bytes)}")
        for process in load.processes
    ]
    return Content("\n").join(lines)


def _gpu(gpu: Gpu) -> Content:
    busy = wording.UNKNOWN if gpu.busy is None else f"{number(gpu.busy, '.0%')}"
    heat = "" if gpu.celsius is None else f" · {number(gpu.celsius, '.0f')} °C"
    memory = f"\n{'':8}" + _(
        "{used_bytes} of {total_bytes}",
        used_bytes=size(gpu.used_bytes),
        total_bytes=size(gpu.total_bytes),
    )
    name = muted("\n" + _("{name}, driver {driver}", name=gpu.name, driver=gpu.driver))
    return Content.assemble(
        (f"GPU {gpu.index:<4}", "bold"), _bar(gpu.busy or 0.0), f" {busy:>4}{heat}{memory}", name
    )


def disks(reading: Reading) -> Content:
    """What is left where runs and data lie."""
    lines = []
    for each in reading.disks:
        used = 1 - each.free_bytes / max(1, each.total_bytes)
        text = " " + _("{free_bytes} left", free_bytes=size(each.free_bytes))
        where = "\n" + _(
            "of {total_bytes}: {folders}",
            total_bytes=size(each.total_bytes),
            folders=" · ".join(map(str, each.folders)),
        )
        lines.append(
            Content.assemble(
                (_("Disk").ljust(8), "bold"),
                _bar(used, used > ALMOST_FULL),
                text,
                muted(where),
            )
        )
    return Content("\n").join(lines)


def bug_report(
    reading: Reading | None,
    runs: Sequence[RunSummary],
    error: tuple[KgptError, str] | None,
    terminal: Size,
    theme: str,
) -> str:
    """All that helps to find a bug, as Markdown; names of runs and texts are left out."""
    if reading is None:
        return ""
    load, states = reading.load, Counter(run.state for run in runs)
    lines = ["### kgpt", ""]
    lines += [f"- {name} {number}" for name, number in reading.versions.items()]
    lines += [
        "",
        _("### Machine"),
        "",
        f"- {reading.system}",
        _("- {processor}, {cores} cores", processor=reading.processor, cores=load.cores),
    ]
    lines.append(
        _(
            "- memory: {used_bytes} of {total_bytes} in use",
            used_bytes=size(load.used_bytes),
            total_bytes=size(load.total_bytes),
        )
    )
    lines += [
        _(
            "- GPU: {name}, {total_bytes}, driver {driver}",
            name=gpu.name,
            total_bytes=size(gpu.total_bytes),
            driver=gpu.driver,
        )
        for gpu in load.gpus
    ]
    lines += [
        _(
            "- disk: {free_bytes} of {total_bytes} left",
            free_bytes=size(each.free_bytes),
            total_bytes=size(each.total_bytes),
        )
        for each in reading.disks
    ]
    lines += [
        "",
        _("### Workbench"),
        "",
        _(
            "- terminal: {width} x {height}, theme {theme}",
            width=terminal.width,
            height=terminal.height,
            theme=theme,
        ),
    ]
    lines.append(
        _(
            "- runs: {states}",
            states=", ".join(
                f"{count} {wording.look(state).word}" for state, count in sorted(states.items())
            )
            or _("none"),
        )
    )
    lines += [f"- {name}={value}" for name, value in reading.environment.items()]
    if error:
        lines += ["", _("### Last error"), "", "```", str(error[0]), *error[1].splitlines(), "```"]
    return "\n".join(lines)
