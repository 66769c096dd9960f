"""Below the chart: what the model wrote at each evaluation, and the trainer's log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import ContentSwitcher, Log, Static

from workbench import wording
from workbench.recording import Recording
from workbench.widgets.run_details import muted

TABS = (("samples", "a Samples"), ("log", "l Log"))


class SidePanel(Vertical):
    """Two tabs; the samples stay on the newest until one goes back."""

    tab = reactive("samples", init=False)

    def __init__(self) -> None:
        super().__init__(id="panel")
        self._samples: Sequence[dict[str, Any]] = ()
        self._chosen: int | None = None
        self._recording: Recording | None = None
        self._lines_shown = 0

    def compose(self) -> ComposeResult:
        """A line of tabs, and one of two panes."""
        yield Static(id="panel-tabs")
        with ContentSwitcher(initial="samples", id="panel-pages"):
            with VerticalScroll(id="samples"):
                yield Static(id="sample")
            yield Log(id="log", highlight=False)

    def on_mount(self) -> None:
        """Draw the line of tabs."""
        self._show_sample()

    def show(self, recording: Recording | None) -> None:
        """Show what has been read so far."""
        if recording is not self._recording:
            self._chosen = None
        self._samples = list(recording.samples) if recording else ()
        self._show_sample()
        self._show_log(recording)
        self._recording = recording

    def watch_tab(self, tab: str) -> None:
        """Turn to a pane."""
        self.query_one(ContentSwitcher).current = tab
        self._show_tabs()

    def move(self, direction: int) -> None:
        """To the sample before (-1) or the next (1); past the end means to follow the newest."""
        last = len(self._samples) - 1
        current = last if self._chosen is None else self._chosen
        target = max(0, current + direction)
        self._chosen = None if target >= last else target
        self.tab = "samples"
        self._show_sample()

    @property
    def _index(self) -> int:
        last = len(self._samples) - 1
        return last if self._chosen is None else min(self._chosen, last)

    def _show_tabs(self) -> None:
        tabs = [self._tab(name, label) for name, label in TABS]
        note = Content("")
        if self.tab == "samples" and self._samples:
            place = f"{self._index + 1} of {len(self._samples)}"
            links = Content.from_markup(
                "  [@click=screen.sample('earlier')]p ◂[/]  [@click=screen.sample('later')]▸ n[/]"
            )
            note = Content.assemble(muted(place), links)
        self.query_one("#panel-tabs", Static).update(Content("   ").join([*tabs, note]))

    def _tab(self, name: str, label: str) -> Content:
        if name == self.tab:
            return Content.styled(label, "bold $primary")
        return Content.from_markup(f"[@click=screen.tab('{name}')]{label}[/]")

    def _show_sample(self) -> None:
        content = muted("What the model writes at each evaluation appears here.")
        if self._samples:
            sample = self._samples[self._index]
            content = Content.assemble(
                muted(f"step {wording.whole(_step(sample))}  "),
                Content.styled(str(sample.get("prompt") or ""), "$foreground-muted italic"),
                Content(str(sample.get("text") or "")),
            )
        self.query_one("#sample", Static).update(content)
        self._show_tabs()

    def _show_log(self, recording: Recording | None) -> None:
        log = self.query_one(Log)
        count, lines = recording.log if recording else (0, ())
        if recording is not self._recording or count < self._lines_shown:
            log.clear()
            self._lines_shown = 0
        if count > self._lines_shown:
            new = lines[-(count - self._lines_shown) :]
            log.write_lines(new, scroll_end=log.is_vertical_scroll_end)
        self._lines_shown = count


def _step(sample: dict[str, Any]) -> float | None:
    step = sample.get("step")
    return step if isinstance(step, int | float) else None
