"""Numbers, durations, states and tiny curves as short text.

In: plain values, or None where something is not known. Out: what tables, tiles and messages show. Knows no Textual.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kgpt.language import N_, _, ngettext, number
from workbench.run_summary import RunSummary

UNKNOWN = "–"
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class StateLook:
    """How a state looks: never by colour alone."""

    dot: str
    name: str
    """An English word; `word` is what people see."""
    color: str
    """A colour of the theme, without the dollar sign."""

    @property
    def word(self) -> str:
        """What people see."""
        return _(self.name)


STATES = {
    "starting": StateLook("◔", N_("starting"), "accent"),
    "compiling": StateLook("◑", N_("compiling"), "accent"),
    "running": StateLook("●", N_("running"), "success"),
    "stalled": StateLook("◌", N_("stalled"), "warning"),
    "stopping": StateLook("◕", N_("stopping"), "accent"),
    "finished": StateLook("✓", N_("finished"), "primary"),
    "stopped": StateLook("■", N_("stopped"), "foreground-muted"),
    "failed": StateLook("✗", N_("failed"), "error"),
    "crashed": StateLook("✗", N_("crashed"), "error"),
    "unreadable": StateLook("?", N_("unreadable"), "error"),
    "unknown": StateLook("·", N_("unknown"), "foreground-muted"),
}


def look(state: str) -> StateLook:
    """The look of a state; a state from a newer version looks unknown."""
    return STATES.get(state, STATES["unknown"])


def decimal(value: float | None, digits: int = 3) -> str:
    """`2.413`."""
    return UNKNOWN if value is None else number(value, f".{digits}f")


def whole(value: float | None) -> str:
    """`12,500`."""
    return UNKNOWN if value is None else number(value, ",.0f")


def short(value: float | None) -> str:
    """Three significant digits and a suffix: `12.5k`, `124M`."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{number(float(f'{value / size:.3g}'), 'g')}{suffix}"
    return number(float(f"{value:.3g}"), "g")


def small(value: float | None) -> str:
    """A learning rate or a norm: `0.00125`, `3.0e-05`."""
    if value is None:
        return UNKNOWN
    return number(value, ".1e" if 0 < abs(value) < 1e-3 else ".3g")


def duration(seconds: float | None) -> str:
    """The two largest units: `42s`, `3m 05s`, `2h 10m`, `4d 03h`."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    total = max(0, round(seconds))
    for size, unit, smaller_size, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if total >= size:
            return f"{total // size}{unit} {total % size // smaller_size:02d}{smaller}"
    return f"{total}s"


def ago(seconds: float) -> str:
    """`just now`, `42s ago`."""
    return _("just now") if seconds < 2 else _("{duration} ago", duration=duration(seconds))


def size(count: float | None) -> str:
    """Bytes: `12.5 MB`."""
    if count is None:
        return UNKNOWN
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit * 0.9995:
            return f"{number(float(f'{count / unit:.3g}'), 'g')} {letter}B"
    return f"{count:.0f} B"


def age(seconds: float | None) -> str:
    """The largest unit: `42s`, `3m`, `2h`, `4d`."""
    return duration(seconds).split()[0]


def progress(run: RunSummary) -> str:
    """`1,240/1,500`."""
    steps = f"/{whole(run.steps)}" if run.steps else ""
    return f"{whole(run.step)}{steps}" if run.step is not None or steps else UNKNOWN


def bar(share: float | None, width: int) -> tuple[str, str]:
    """A progress bar as its done and its open part; half a cell counts."""
    halves = round((share or 0.0) * width * 2)
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return done, "─" * (width - len(done))


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as a row of bars, the lowest value the lowest bar."""
    if len(values) < 2:
        return ""
    edges = [round(number * len(values) / width) for number in range(width + 1)]
    groups = [values[a:b] for a, b in zip(edges, edges[1:], strict=False) if b > a]
    means = [sum(group) / len(group) for group in groups]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((mean - low) * scale)] for mean in means)


def model_line(run: RunSummary) -> str:
    """`demo · 6.2M parameters · 6 layers × 256`, as far as it is known."""
    model = run.configuration.get("model")
    model = model if isinstance(model, dict) else {}
    shape = ""
    if model.get("num_layers") and model.get("width"):
        shape = ngettext(
            "{count} layer × {width}",
            "{count} layers × {width}",
            model["num_layers"],
            width=model["width"],
        )
    parameters = _("{count} parameters", count=short(run.parameters)) if run.parameters else ""
    return " · ".join(part for part in (run.preset, parameters, shape) if part)


def situation(run: RunSummary, now: float) -> str:
    """One sentence on what the run is doing, and what the user can do about it."""
    silent = duration(now - run.updated) if run.updated else _("a while")
    resume = f"kgpt-train --run {run.name} --resume"
    sentences = {
        "starting": lambda: _("the trainer is starting: it loads TensorFlow and the data"),
        "compiling": lambda: _(
            "compiling the first step, for {silent} so far; this can take a minute", silent=silent
        ),
        "running": lambda: _("last update {when}", when=ago(now - run.updated)),
        "stalled": lambda: _(
            "nothing new for {silent}: it may be evaluating, suspended, or stuck", silent=silent
        ),
        "stopping": lambda: _("saving a checkpoint before it stops"),
        "finished": lambda: _finished(run),
        "stopped": lambda: _(
            "{stopped}; continue it with: {command}",
            stopped=_at_step(_("stopped"), run),
            command=resume,
        ),
        "crashed": lambda: _(
            "{crashed}; continue it with: {command}",
            crashed=_at_step(_("its process is gone, with nothing said"), run),
            command=resume,
        ),
        "failed": lambda: _(
            "{error}; the log says more", error=run.error or _("the trainer failed")
        ),
        "unreadable": lambda: run.problem,
    }
    if run.state not in sentences:
        return _("its status.json says nothing that this version knows")
    return sentences[run.state]()


def _at_step(words: str, run: RunSummary) -> str:
    if run.step is None:
        return words
    return _("{words} at step {step}", words=words, step=whole(run.step))


def _finished(run: RunSummary) -> str:
    words = _at_step(_("finished"), run)
    if not run.seconds:
        return words
    return _("{finished} in {duration}", finished=words, duration=duration(run.seconds))
