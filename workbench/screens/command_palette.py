"""The command palette in the reader's language: Textual's own says two things in English.

In: a search. Out: Textual's palette, whose placeholder and whose answer to a search without results are looked up.
"""

from __future__ import annotations

from rich.align import Align
from rich.style import Style
from rich.text import Text
from textual.command import CommandList, CommandPalette
from textual.widgets.option_list import Option

from kgpt.language import _


class TranslatedPalette(CommandPalette):
    """Textual's palette, known by the same id."""

    def __init__(self) -> None:
        super().__init__(placeholder=_("Search for commands…"), id="--command-palette")

    def _start_no_matches_countdown(self, search_value: str) -> None:
        """Say after a moment that nothing was found; Textual has no other place to translate that."""
        super()._start_no_matches_countdown(search_value)
        self._stop_no_matches_countdown()
        if search_value:
            self._no_matches_timer = self.set_timer(self._NO_MATCHES_COUNTDOWN, self._say_nothing)

    def _say_nothing(self) -> None:
        text = Align.center(Text(_("No matches found"), style=Style(bold=False)))
        self.query_one(CommandList).add_option(Option(text, disabled=True, id=self._NO_MATCHES))
        self._list_visible = True
