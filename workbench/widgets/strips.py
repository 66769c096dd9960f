"""All metrics of a run but its losses as small curves below the big one, a page of them at a time.

The first page is the same for every run: learning rate, gradient norm, speed, validation gap, and the GPU's memory
where there is some to tell. Whatever else the run's rows have follows, four to a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from kgpt.language import N_, _
from workbench import wording
from workbench.widgets.colors import muted
from workbench.widgets.writing import write

SPACE = 2
PAGE = 4
"""Metrics to a page, after the first."""


@dataclass(frozen=True)
class Strip:
    """How a metric is named and drawn."""

    metric: str
    title: str
    short_title: str
    figure: Callable[[float], str]
    style: str


FIRST_PAGE = (
    Strip("learning_rate", N_("learning rate"), N_("rate"), wording.small, "$secondary"),
    Strip("gradient_norm", N_("gradient norm"), N_("norm"), wording.small, "$warning"),
    Strip("tokens_per_second", N_("tokens/s"), N_("tok/s"), wording.short, "$success"),
    Strip("gap", N_("validation gap"), N_("gap"), wording.small, "$accent"),
)
GPU_MEMORY = Strip("gpu_memory", N_("GPU memory"), N_("GPU"), wording.size, "$primary")
TITLES = {
    "bits_per_byte": N_("bits per byte"),
    "loss_scale": N_("loss scale"),
    "mfu": N_("utilisation"),
    "skipped_updates": N_("skipped updates"),
    "validation_accuracy": N_("accuracy"),
    "validation_f1": N_("F1"),
}
"""Of what kgpt's trainers log; a metric that is not here goes by its own name."""


def pages_of(metrics: Sequence[str]) -> list[tuple[Strip, ...]]:
    """All metrics, each on one page."""
    first = (*FIRST_PAGE, *([GPU_MEMORY] if GPU_MEMORY.metric in metrics else []))
    shown = {strip.metric for strip in first}
    others = [metric for metric in metrics if metric not in shown]
    return [
        first,
        *(
            tuple(
                _strip(metric, place) for place, metric in enumerate(others[start : start + PAGE])
            )
            for start in range(0, len(others), PAGE)
        ),
    ]


def _strip(metric: str, place: int) -> Strip:
    title = TITLES.get(metric, metric.replace("_", " "))
    return Strip(metric, title, title, _figure, FIRST_PAGE[place].style)


def _figure(value: float) -> str:
    return wording.short(value) if abs(value) >= 1000 else wording.small(value)


class Strips(Static):
    """Two lines: figures, and below each its curve; at the right which page, where there are several."""

    _series: Mapping[str, Sequence[float]] = {}
    _page = 0

    def on_resize(self) -> None:
        """Another width, other names and longer curves."""
        self.show(self._series)

    def turn(self, direction: int) -> None:
        """To the next page (1) or the one before (-1); from the last to the first."""
        count = len(pages_of(list(self._series)))
        self._page = (min(self._page, count - 1) + direction) % count
        self.show(self._series)

    def show(self, series: Mapping[str, Sequence[float]]) -> None:
        """Show the series of the window."""
        self._series = series
        pages = pages_of(list(series))
        page = min(self._page, len(pages) - 1)  # a run that has not been read yet has but one
        note = _note(page, len(pages)) if len(pages) > 1 else None
        strips = pages[page]
        room = (self.size.width or 80) - (note[0].cell_length + SPACE if note else 0)
        width = max(12, (room + SPACE) // max(PAGE, len(strips)) - SPACE)
        labels, lines = [], []
        for strip in strips:
            values = series.get(strip.metric, ())
            label = _label(strip, strip.figure(values[-1]) if values else wording.UNKNOWN, width)
            labels.append(label.pad_right(max(0, width - label.cell_length)))
            line = wording.sparkline(values, width)
            lines.append(Content.assemble((line, strip.style), " " * (width - len(line))))
        rows = []
        for cells, end in ((labels, 0), (lines, 1)):
            row = Content(" " * SPACE).join(cells)
            gap = max(0, room - row.cell_length) + SPACE
            rows.append(Content.assemble(row, " " * gap, note[end]) if note else row)
        write(self, Content("\n").join(rows))


def _label(strip: Strip, value: str, width: int) -> Content:
    title = _(strip.title)
    if len(title) + 1 + len(value) > width:
        title = _(strip.short_title)
    room = max(1, width - len(value) - 1)
    if len(title) > room:
        title = title[: room - 1] + "…"
    return Content.assemble(muted(f"{title} "), value)


def _note(page: int, count: int) -> tuple[Content, Content]:
    """`P 2/3 N`: which page, and the keys that turn, which take a click too."""
    number = f"{page + 1}/{count}"
    turns = (
        Content.from_markup("[@click=screen.metric_page('before')]P◂[/]"),
        Content.from_markup("[@click=screen.metric_page('next')]▸N[/]"),
    )
    width = max(len(number), 5)
    return (
        muted(number.center(width)),
        Content.assemble(turns[0], " " * (width - 4), turns[1]),
    )
