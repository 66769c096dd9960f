"""Below the chart, in tabs: samples by step, log, checkpoints, configuration, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import ContentSwitcher, Static

from kgpt.language import N_, _
from workbench import wording
from workbench.events import Event
from workbench.recording import LogTail, Recording
from workbench.run_summary import RunSummary
from workbench.widgets.colors import muted
from workbench.widgets.log_pane import LogPane
from workbench.widgets.run_details import checkpoint_lines, flattened
from workbench.widgets.writing import write

TRACK = 20
"""Cells of the slider through the samples, at most."""


class SidePanel(Vertical):
    """The samples stay on the newest until one goes back."""

    TABS: ClassVar[Mapping[str, str]] = {
        "samples": N_("a Samples"),
        "log": N_("L Log"),
        "checkpoints": N_("c Checkpoints"),
        "configuration": N_("C Configuration"),
        "events": N_("v Events"),
    }
    SHORT_TABS: ClassVar[Mapping[str, str]] = {
        "checkpoints": N_("c Saved"),
        "configuration": N_("C Config"),
    }

    tab = reactive("samples", init=False)

    def __init__(self) -> None:
        super().__init__(id="panel")
        self._samples: Sequence[dict[str, Any]] = ()
        self._chosen: int | None = None
        self._recording: Recording | None = None

    def compose(self) -> ComposeResult:
        """A line of tabs, and one of the panes."""
        yield Static(id="panel-tabs")
        with ContentSwitcher(initial="samples", id="panel-pages"):
            with VerticalScroll(id="samples"):
                yield Static(id="sample", markup=False)
            yield LogPane()
            for name in ("checkpoints", "configuration", "events"):
                with VerticalScroll(id=name):
                    yield Static(id=f"{name}-text", markup=False)

    def on_mount(self) -> None:
        """Draw the line of tabs."""
        self._show_sample()

    def show(self, recording: Recording | None, last_words: Sequence[str] = ()) -> None:
        """Show what has been read so far."""
        if recording is not self._recording:
            self._chosen = None
        self._recording = recording
        self._samples = list(recording.samples) if recording else ()
        self._show_sample()
        self.query_one(LogPane).show(recording.log if recording else LogTail(), last_words)

    def show_run(self, run: RunSummary, events: Sequence[Event], now: float) -> None:
        """Show what is known of the run itself."""
        self._write("checkpoints", checkpoint_lines(run, now))
        values = flattened(run.configuration)
        pairs = [
            Content.assemble(muted(f"{key:<28}"), f" {value}") for key, value in values.items()
        ]
        self._write("configuration", pairs or [muted(_("not recorded"))])
        lines = [
            Content.assemble(
                (f"{event.look.mark} ", f"${event.look.color}"),
                muted(_("step {step}", step=f"{wording.whole(event.step):>7}") + "  "),
                event.text,
            )
            for event in reversed(events)
        ]
        self._write(
            "events", lines or [muted(_("Checkpoints, resumptions and notes (m) appear here."))]
        )

    def _write(self, name: str, lines: Sequence[Content]) -> None:
        write(self.query_one(f"#{name}-text", Static), Content("\n").join(lines), is_fixed=False)

    def watch_tab(self, tab: str) -> None:
        """Turn to a pane."""
        self.query_one(ContentSwitcher).current = tab
        self._show_tabs()

    def on_resize(self) -> None:
        """Another width, other names of the tabs."""
        self._show_tabs()

    # === Samples ===

    def move(self, direction: int) -> None:
        """To the sample before (-1) or the next (1)."""
        self.go_to(self._index + direction)

    def go_to(self, index: int) -> None:
        """To one of the samples; the last means to follow the newest."""
        target = max(0, index)
        self._chosen = None if target >= len(self._samples) - 1 else target
        self.tab = "samples"
        self._show_sample()

    @property
    def _index(self) -> int:
        last = len(self._samples) - 1
        return last if self._chosen is None else min(self._chosen, last)

    def _show_tabs(self) -> None:
        is_narrow = self.size.width < 100
        names = {**self.TABS, **(self.SHORT_TABS if is_narrow else {})}
        tabs = [self._tab(name, label) for name, label in names.items()]
        note = self._slider() if self.tab == "samples" and self._samples else Content("")
        write(self.query_one("#panel-tabs", Static), Content("  ").join([*tabs, note]))

    def _slider(self) -> Content:
        """`◂ ──●── ▸ 3 of 6`, each cell of which takes a click."""
        count, index = len(self._samples), self._index
        room = TRACK if self.size.width >= 100 else 6
        cells = min(count, room)
        here = index * (cells - 1) // max(1, count - 1)
        track = "".join(
            f"[@click=screen.sample_at({cell * (count - 1) // max(1, cells - 1)})]"
            f"{'●' if cell == here else '─'}[/]"
            for cell in range(cells)
        )
        markup = (
            f"[@click=screen.sample('earlier')], ◂[/] {track} [@click=screen.sample('later')]▸ .[/]"
        )
        return Content.assemble(
            Content.from_markup(markup),
            muted(" " + _("{number} of {count}", number=index + 1, count=count)),
        )

    def _tab(self, name: str, label: str) -> Content:
        if name == self.tab:
            return Content.styled(_(label), "bold $primary")
        return Content.from_markup(f"[@click=screen.tab('{name}')]{_(label)}[/]")

    def _show_sample(self) -> None:
        content = muted(_("What the model writes at each evaluation appears here."))
        if self._samples:
            sample = self._samples[self._index]
            content = Content.assemble(
                muted(_("step {step}", step=wording.whole(_step(sample))) + "  "),
                Content.styled(str(sample.get("prompt") or ""), "$foreground-muted italic"),
                Content(str(sample.get("text") or "")),
            )
        write(self.query_one("#sample", Static), content, is_fixed=False)
        self._show_tabs()


def _step(sample: dict[str, Any]) -> float | None:
    step = sample.get("step")
    return step if isinstance(step, int | float) else None
