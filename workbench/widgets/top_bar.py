"""The line at the top of every screen: the screens, and what is going on."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from kgpt.language import N_, _

SCREENS = (
    ("runs", N_("1 Runs")),
    ("watch", N_("2 Watch")),
    ("generate", N_("3 Generate")),
    ("attention", N_("4 Attention")),
    ("data", N_("5 Data")),
    ("system", N_("6 System")),
)


SEPARATOR = " · "
"""Between the parts of a note."""


class TopBar(Static):
    """Tabs to click on the left, a note on the right."""

    ALLOW_SELECT = False
    note = reactive("")
    """What the right end says."""

    def __init__(self, current: str) -> None:
        super().__init__()
        self.current = current

    def render(self) -> Content:
        """The line, as wide as the screen."""
        tabs = Content.assemble(" ", ("kgpt", "bold $primary"), " ", *map(self._tab, SCREENS))
        width = max(0, self.size.width - tabs.cell_length - 2)
        note = Content.styled(_fitting(self.note, width), "$foreground-muted")
        gap = max(0, self.size.width - tabs.cell_length - note.cell_length - 1)
        return Content.assemble(tabs, " " * gap, note)

    def _tab(self, screen: tuple[str, str]) -> Content:
        name, label = screen
        if name == self.current:
            return Content.styled(f" {_(label)} ", "bold $background on $primary")
        return Content.from_markup(f"[@click=app.show('{name}')] {_(label)} [/]")


def _fitting(note: str, width: int) -> str:
    """As many parts of a note, from its first, as there is room for."""
    parts = note.split(SEPARATOR)
    while parts and cell_len(SEPARATOR.join(parts)) > width:
        parts.pop()
    return SEPARATOR.join(parts)
