"""The lines of the Watch screen: legend, banner, what the crosshair reads, and what stands in place of a chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from workbench import wording
from workbench.catalog import RunSummary
from workbench.events import last_good_checkpoint
from workbench.palette import Look
from workbench.recording import ChartData, View
from workbench.tail import is_number
from workbench.widgets.run_details import muted


def legend(
    data: ChartData | None,
    view: View,
    is_reading: bool,
    looks: Mapping[str, Look] | None = None,
    follows: bool = False,
) -> Content:
    """The line above the chart: what is drawn, and how; with `looks`, which run is which."""
    smoothing = f"smoothed {view.smoothing:g}" if view.smoothing else "not smoothed"
    scale = "log" if view.is_log else "linear"
    parts = [muted(f"loss, {scale} · x {view.x_axis}")]
    if looks:
        parts.append(muted(smoothing))
        parts += [
            Content.assemble((f"━{look.mark}━ ", look.color), name) for name, look in looks.items()
        ]
    else:
        parts.append(Content.assemble(("━━ ", "$primary"), f"train ({smoothing})"))
        if data is not None and len(data.validation.x):
            parts.append(Content.assemble(("─•─ ", "$accent"), "validation"))
        if data is not None and data.best:
            parts.append(Content.assemble(("★ ", "$accent"), "best"))
    if data is not None and len(data.broken):
        parts.append(Content.assemble(("│ ", "$error"), ("not a number", "$error")))
    if view.left is not None:
        zoomed = "zoomed, following" if follows else "zoomed, 0 shows all"
        parts.append(Content.styled(zoomed, "$warning"))
    if is_reading:
        parts.append(Content.styled("reading…", "$accent"))
    return Content("   ").join(parts)


def banner(run: RunSummary, broken_step: float | None) -> Content | None:
    """A line on what has gone wrong, or well, and what to do; None where nothing needs saying."""
    if run.state in ("failed", "stopped", "crashed") and broken_step is not None:
        good = last_good_checkpoint(run, broken_step)
        safe = f"last good checkpoint {good:,}" if good is not None else "no checkpoint from before"
        text = f"✗ not a number at step {broken_step:,.0f}; {safe}"
        return Content.styled(text, "bold $error")
    if run.state == "crashed":
        text = "✗ its process is gone; r resumes it from its last checkpoint, L shows the log"
        return Content.styled(text, "bold $error")
    if run.state == "stalled":
        return Content.styled("◌ nothing new for a while; X stops it with a checkpoint", "$warning")
    if run.state == "finished":
        facts = [
            f"validation {wording.decimal(run.best_validation_loss)}"
            + (f" at step {wording.whole(run.best_step)}" if run.best_step is not None else ""),
            f"{wording.decimal(run.bits_per_byte)} bits a byte",
            f"{wording.short(run.tokens)} tokens in {wording.duration(run.seconds)}",
            "g writes with it",
        ]
        return Content.styled("✓ finished: " + " · ".join(facts), "$success")
    return None


def reading(row: Mapping[str, Any], smoothed: float | None, validation: float | None) -> str:
    """What the crosshair reads, as text that can be copied."""

    def number(key: str) -> float | None:
        value = row.get(key)
        return value if is_number(value) else None

    seconds = number("seconds")
    parts = [
        f"step {wording.whole(number('step'))}",
        f"{wording.short(number('tokens'))} tokens",
        f"{seconds / 3600:.3f} h" if seconds is not None else "",
        f"train {wording.decimal(number('train_loss'), 4)}",
        f"smoothed {wording.decimal(smoothed, 4)}" if smoothed is not None else "",
        f"val {wording.decimal(validation, 4)}" if validation is not None else "",
        f"rate {wording.small(number('learning_rate'))}",
        f"norm {wording.small(number('gradient_norm'))}",
        f"{wording.short(number('tokens_per_second'))} tok/s",
    ]
    return "  ".join(part for part in parts if part)


def waiting_text(run: RunSummary, now: float) -> Content:
    """In place of the chart while there is nothing to draw."""
    look = wording.look(run.state)
    return Content.assemble(
        (f"{look.dot} {look.word}\n\n", f"bold ${look.color}"),
        muted(wording.situation(run, now) + "\n"),
        muted(
            "The curve begins with the first step." if run.is_live else "There is no curve to show."
        ),
    )
