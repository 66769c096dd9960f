"""A list of all themes, each shown while the cursor is on it. `enter` keeps it, `esc` brings back the one before."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from kgpt.language import _
from workbench.screens.dialogs import Dialog


class ThemesScreen(Dialog):
    """Comes back with the name of the theme that was chosen, or None."""

    def __init__(self) -> None:
        super().__init__(_("theme"))

    def compose_body(self) -> ComposeResult:
        """The names, the one in use first under the cursor."""
        self._before = self.app.theme
        yield OptionList(
            *(Option(name, id=name) for name in sorted(self.app.available_themes)), compact=True
        )

    def on_mount(self) -> None:
        """Begin at the theme in use."""
        self.query_one(OptionList).highlighted = sorted(self.app.available_themes).index(
            self._before
        )

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show it."""
        if event.option.id:
            self.app.theme = event.option.id

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Keep it."""
        self.dismiss(event.option.id)

    def action_cancel(self) -> None:
        """Back to the one before."""
        self.app.theme = self._before
        self.dismiss(None)
