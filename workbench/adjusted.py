"""The application as its user wants it: theme, keys, characters and pace, from the preferences.

In: `Preferences`. Out: an app that follows them, at its start and whenever they change, and that says what was wrong
with them. What takes time to import is imported when it differs from the default.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from textual.app import App

from kgpt.language import _
from workbench.keys import KEYS
from workbench.preferences import Preferences
from workbench.terminal_keys import release
from workbench.widgets.colors import THEMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from textual.binding import Binding

    from workbench.key import Key, Place
    from workbench.keymap import KeyTable
    from workbench.preferences import Value


class AdjustedApp(App[None]):
    """What the preferences reach."""

    def __init__(
        self, preferences: Preferences | None = None, preferences_path: Path | None = None
    ) -> None:
        super().__init__()
        self.preferences = preferences or Preferences()
        self.preferences_path = preferences_path

    @cached_property
    def key_table(self) -> KeyTable | None:
        """The keys, where the user has changed some."""
        if not self.preferences.keys:
            return None
        from workbench.keymap import remapped

        return remapped(self.preferences.keys)

    def keys_of(self, place: Place) -> tuple[Key, ...]:
        """The keys of a place as they are now."""
        keys = self.key_table.keys if self.key_table else KEYS
        return tuple(key for key in keys if key.place == place)

    def get_key_display(self, binding: Binding) -> str:
        """A key's name for the footer, in the language that is spoken."""
        return _(super().get_key_display(binding))

    def action_command_palette(self) -> None:
        """The palette, in the language that is spoken."""
        from workbench.screens.command_palette import TranslatedPalette

        if not isinstance(self.screen, TranslatedPalette):
            self.push_screen(TranslatedPalette())

    def set_out(self, remembered_theme: str) -> None:
        """Theme, keys and characters, before the first frame is drawn."""
        for theme in THEMES:
            self.register_theme(theme)
        wanted = str(self.preferences["theme"]) or remembered_theme
        name = wanted if wanted in self.available_themes else "kgpt-dark"
        self.set_reactive(App.theme, name)
        self.stylesheet.set_variables(self.get_css_variables())
        if self.key_table:
            self.set_keymap(dict(self.key_table.changes))
        keys = self.key_table.keys if self.key_table else KEYS
        release(name for key in keys for name in key.keys.split(","))
        self._draw_plainly()

    def say_problems(self) -> None:
        """What of the preferences could not be followed."""
        theme = str(self.preferences["theme"])
        problems = [
            *self.preferences.problems,
            *(self.key_table.problems if self.key_table else ()),
        ]
        if theme and theme not in self.available_themes:
            problems.append(_("There is no theme {name}.", name=repr(theme)))
        for text in problems:
            self.notify(text, title=_("Settings"), severity="warning", timeout=12, markup=False)

    def adjust(self, values: Mapping[str, Value]) -> None:
        """Follow other values from now on."""
        self.preferences.values.update(values)
        if theme := str(self.preferences["theme"]):
            self.theme = theme
        self._draw_plainly()
        self.adjust_work()
        self.refresh(layout=True)

    def adjust_work(self) -> None:
        """What the subclass does in the background, by the new values."""

    def _draw_plainly(self) -> None:
        is_plain = bool(self.preferences["plain"])
        filters: list[Any] = self._filters
        present = [item for item in filters if type(item).__name__ == "PlainCharacters"]
        if is_plain and not present:
            from workbench.plain import PlainCharacters

            filters.append(PlainCharacters())
        elif present and not is_plain:
            filters.remove(present[0])
