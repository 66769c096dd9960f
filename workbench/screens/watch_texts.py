"""The lines of the Watch screen: legend, banner, what the crosshair reads, and what stands in place of a chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.content import Content

from kgpt.language import _, number
from workbench import wording
from workbench.events import last_good_checkpoint
from workbench.palette import Look
from workbench.recording import ChartData, View
from workbench.run_summary import RunSummary
from workbench.tail import is_number
from workbench.widgets.colors import muted


def legend(
    data: ChartData | None,
    view: View,
    is_reading: bool,
    looks: Mapping[str, Look] | None = None,
    follows: bool = False,
) -> Content:
    """The line above the chart: what is drawn, and how; with `looks`, which run is which."""
    smoothing = (
        _("smoothed {smoothing:g}", smoothing=view.smoothing)
        if view.smoothing
        else _("not smoothed")
    )
    scale = _("log") if view.is_log else _("linear")
    parts = [muted(_("loss, {scale} · x {x_axis}", scale=scale, x_axis=_(view.x_axis)))]
    if looks:
        parts.append(muted(smoothing))
        parts += [
            Content.assemble((f"━{look.mark}━ ", look.color), name) for name, look in looks.items()
        ]
    else:
        parts.append(
            Content.assemble(("━━ ", "$primary"), _("train ({smoothing})", smoothing=smoothing))
        )
        if data is not None and len(data.validation.x):
            parts.append(Content.assemble(("─•─ ", "$accent"), _("validation")))
        if data is not None and data.best:
            parts.append(Content.assemble(("★ ", "$accent"), _("best")))
    if data is not None and len(data.broken):
        parts.append(Content.assemble(("│ ", "$error"), (_("not a number"), "$error")))
    if view.left is not None:
        zoomed = _("zoomed, following") if follows else _("zoomed, 0 shows all")
        parts.append(Content.styled(zoomed, "$warning"))
    if is_reading:
        parts.append(Content.styled(_("reading…"), "$accent"))
    return Content("   ").join(parts)


def banner(run: RunSummary, broken_step: float | None) -> Content | None:
    """A line on what has gone wrong, or well, and what to do; None where nothing needs saying."""
    if run.state in ("failed", "stopped", "crashed") and broken_step is not None:
        good = last_good_checkpoint(run, broken_step)
        safe = (
            _("last good checkpoint {good:,}", good=good)
            if good is not None
            else _("no checkpoint from before")
        )
        text = _(
            "✗ not a number at step {broken_step:,.0f}; {safe}", broken_step=broken_step, safe=safe
        )
        return Content.styled(text, "bold $error")
    if run.state == "crashed":
        text = _("✗ its process is gone; r resumes it from its last checkpoint, L shows the log")
        return Content.styled(text, "bold $error")
    if run.state == "stalled":
        return Content.styled(
            _("◌ nothing new for a while; X stops it with a checkpoint"), "$warning"
        )
    if run.state == "finished":
        facts = [
            _best(run),
            _("{bits_per_byte} bits a byte", bits_per_byte=wording.decimal(run.bits_per_byte)),
            _(
                "{tokens} tokens in {seconds}",
                tokens=wording.short(run.tokens),
                seconds=wording.duration(run.seconds),
            ),
            _("g writes with it"),
        ]
        return Content.styled(_("✓ finished: {facts}", facts=" · ".join(facts)), "$success")
    return None


def _best(run: RunSummary) -> str:
    loss = wording.decimal(run.best_validation_loss)
    if run.best_step is None:
        return _("validation {loss}", loss=loss)
    return _("validation {loss} at step {step}", loss=loss, step=wording.whole(run.best_step))


def reading(row: Mapping[str, Any], smoothed: float | None, validation: float | None) -> str:
    """What the crosshair reads, as text that can be copied."""

    def value(key: str) -> float | None:
        found = row.get(key)
        return found if is_number(found) else None

    seconds = value("seconds")
    parts = [
        _("step {step}", step=wording.whole(value("step"))),
        _("{tokens} tokens", tokens=wording.short(value("tokens"))),
        f"{number(seconds / 3600, '.3f')} h" if seconds is not None else "",
        _("train {loss}", loss=wording.decimal(value("train_loss"), 4)),
        _("smoothed {loss}", loss=wording.decimal(smoothed, 4)) if smoothed is not None else "",
        _("val {loss}", loss=wording.decimal(validation, 4)) if validation is not None else "",
        _("rate {rate}", rate=wording.small(value("learning_rate"))),
        _("norm {norm}", norm=wording.small(value("gradient_norm"))),
        _("{speed} tok/s", speed=wording.short(value("tokens_per_second"))),
    ]
    return "  ".join(part for part in parts if part)


def waiting_text(run: RunSummary, now: float) -> Content:
    """In place of the chart while there is nothing to draw."""
    look = wording.look(run.state)
    return Content.assemble(
        (f"{look.dot} {look.word}\n\n", f"bold ${look.color}"),
        muted(wording.situation(run, now) + "\n"),
        muted(
            _("The curve begins with the first step.")
            if run.is_live
            else _("There is no curve to show.")
        ),
    )
