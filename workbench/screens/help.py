"""The help: the keys of this screen and of all, and the terms. Made from the key table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from kgpt.language import _
from workbench.glossary import GLOSSARY
from workbench.key import PLACE_TITLES, Place
from workbench.widgets.bindings import TranslatedKeys, bindings_of
from workbench.widgets.colors import rich_style

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp

EVERYWHERE: Place = "everywhere"


class HelpScreen(TranslatedKeys, ModalScreen[None]):
    """Any of the keys that opened it closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("help")]

    def __init__(self, *places: Place) -> None:
        super().__init__()
        self._places = places

    def compose(self) -> ComposeResult:
        """One page that scrolls."""
        with VerticalScroll(id="help") as page:
            page.border_title = _("help")
            page.border_subtitle = _("esc closes")
            yield Static(self._text())

    def on_click(self, event: object) -> None:
        """A click beside the page closes it."""
        if getattr(event, "widget", None) is self:
            self.dismiss()

    def _text(self) -> Table:
        """Two columns: the keys of the places, the focus first, those that work everywhere, and the terms."""
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", no_wrap=True, style=rich_style(self.app, "accent"))
        table.add_column(style=rich_style(self.app, "foreground-muted"))
        for place in (*self._places, EVERYWHERE):
            self._add_title(table, _(PLACE_TITLES[place]))
            for key in cast("WorkbenchApp", self.app).keys_of(place):
                if key.writes and getattr(self.app, "is_read_only", False):
                    continue
                table.add_row(key.written, _(key.help))
        table.add_row("^p", _("Every action, every run, every theme: the command palette"))
        self._add_title(table, _("Terms"))
        for term, text in GLOSSARY:
            table.add_row(_(term), _(text))
        return table

    def _add_title(self, table: Table, title: str) -> None:
        if table.row_count:
            table.add_row()
        table.add_row("", Text(title, style=rich_style(self.app, "primary", bold=True)))
