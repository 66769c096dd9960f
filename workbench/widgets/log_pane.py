"""What the trainer printed: following its end, filtered, wrapped."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from kgpt.language import _
from workbench.recording import LogTail
from workbench.widgets.colors import muted
from workbench.widgets.writing import write

LINES = 1000
"""The newest lines that are shown."""


class LogPane(Vertical):
    """Stays at the end of the log unless one has scrolled up."""

    def __init__(self) -> None:
        super().__init__(id="log")
        self._key: object = None
        self._lines: tuple[str, ...] = ()
        self._words: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """A line to filter by, and the log."""
        yield Input(placeholder=_("show lines that have…"), id="log-filter", compact=True)
        with VerticalScroll(id="log-scroll"):
            yield Static(id="log-lines", markup=False)

    def on_mount(self) -> None:
        """Nothing is filtered, nothing wrapped."""
        self.query_one("#log-filter").display = False

    def show(self, log: LogTail, last_words: Sequence[str] = ()) -> None:
        """Show the log, and below it what a trainer that has died printed last."""
        key = (log.total, log.lines[-1:], tuple(last_words))
        if key != self._key:
            self._key = key
            self._lines, self._words = log.lines, tuple(last_words)
            self._draw()

    def filter(self) -> None:
        """Type what the lines must have."""
        self.query_one("#log-filter").display = True
        self.query_one("#log-filter", Input).focus()

    def end_filter(self) -> bool:
        """Show all lines again; whether there was a filter."""
        field = self.query_one("#log-filter", Input)
        was_shown = bool(field.display)
        field.value, field.display = "", False
        return was_shown

    def wrap(self) -> bool:
        """Wrap long lines, or not; whether they are wrapped now."""
        self.toggle_class("wrapped")
        return self.has_class("wrapped")

    @property
    def text(self) -> str:
        """The lines that are shown."""
        return "\n".join(self._shown())

    def on_input_changed(self) -> None:
        """The filter works while it is typed."""
        self._draw()

    def on_input_submitted(self) -> None:
        """Enter goes back to the lines; an empty filter goes away."""
        field = self.query_one("#log-filter", Input)
        field.display = bool(field.value)
        self.query_one("#log-scroll").focus()

    def _shown(self) -> list[str]:
        wanted = self.query_one("#log-filter", Input).value.lower()
        return [line for line in self._lines if wanted in line.lower()][-LINES:]

    def _draw(self) -> None:
        scroll = self.query_one("#log-scroll", VerticalScroll)
        is_at_end = scroll.is_vertical_scroll_end
        parts = [Content("\n".join(self._shown()))]
        if self._words:
            parts += [muted(_("last words of its process:")), Content("\n".join(self._words))]
        write(self.query_one("#log-lines", Static), Content("\n").join(parts), is_fixed=False)
        if is_at_end:
            scroll.scroll_end(animate=False)
