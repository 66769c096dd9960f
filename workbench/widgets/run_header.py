"""The head of the Watch screen: what the run is doing, how far it is, and its latest figures."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from kgpt.language import _, number
from workbench import wording
from workbench.run_summary import RunSummary
from workbench.widgets.colors import muted
from workbench.widgets.writing import write


class RunHeader(Static):
    """Three lines: state, progress, figures."""

    _shown: tuple[RunSummary | None, float] | None = None

    def on_resize(self) -> None:
        """Bar and figures are as wide as there is room."""
        if self._shown is not None:
            self.show(*self._shown)

    def show(self, run: RunSummary | None, now: float) -> None:
        """Show a run as it stands."""
        self._shown = run, now
        if run is None:
            write(self, Content("\n\n"))
            return
        width = self.size.width or 80
        lines = [_state_line(run, now), _progress_line(run, width), _figures(run, width)]
        write(self, Content("\n").join(lines))


def _state_line(run: RunSummary, now: float) -> Content:
    look = wording.look(run.state)
    model = wording.model_line(run)
    return Content.assemble(
        (f"{look.dot} ", f"${look.color}"),
        (run.name, "bold"),
        (f"  {look.word}", f"${look.color}"),
        muted(f"  {wording.situation(run, now)}"),
        muted(f"  ·  {model}" if model else ""),
    )


def _progress_line(run: RunSummary, width: int) -> Content:
    share = run.progress
    text = _("{progress} steps", progress=wording.progress(run))
    if share is not None:
        text += f"  {number(share, '.0%')}"
    if run.seconds is not None:
        text += "  ·  " + _("{duration} so far", duration=wording.duration(run.seconds))
    if run.is_live and run.seconds_left is not None:
        text += "  ·  " + _("{duration} left", duration=wording.duration(run.seconds_left))
    done, open_part = wording.bar(share, max(8, min(60, width - len(text) - 6)))
    color = f"${wording.look(run.state).color}"
    return Content.assemble((done, color), (open_part, "$foreground 20%"), f"  {text}")


def _figures(run: RunSummary, width: int) -> Content:
    best_at = f" @{wording.short(run.best_step)}" if run.best_step is not None else ""
    figures = (
        (_("train"), wording.decimal(run.train_loss), "bold $primary"),
        (_("val"), wording.decimal(run.validation_loss), "bold $accent"),
        (_("best"), wording.decimal(run.best_validation_loss) + best_at, "$accent"),
        (_("bits/byte"), wording.decimal(run.bits_per_byte), ""),
        (_("tok/s"), wording.short(run.tokens_per_second), ""),
        (_("tokens"), wording.short(run.tokens), ""),
    )
    parts = [
        Content.assemble(muted(f"{label} "), (value, style)) for label, value, style in figures
    ]
    gap = Content("   " if width > 90 else "  ")
    while len(parts) > 1 and gap.join(parts).cell_length > width:
        parts.pop()  # a figure that is cut would be read as another one
    return gap.join(parts)
