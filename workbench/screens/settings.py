"""The settings: a form made from the schema of `workbench.preferences`.

In: values as they are. Out: the values that were chosen, written to the user's file and followed at once, except for
those that say they wait for the next start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Label, Select, Static

from kgpt.errors import KgptError
from kgpt.language import N_, _
from workbench.key import Place
from workbench.preferences import PREFERENCES, Preference, Value, save
from workbench.screens.dialogs import Dialog
from workbench.widgets.bindings import bindings_of
from workbench.widgets.colors import muted
from workbench.widgets.entry import Entry

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp

AS_IT_WAS = N_("(as it was left)")


class SettingsScreen(Dialog):
    """A line for each preference; comes back with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("settings")]
    place: ClassVar[Place] = "settings"

    def __init__(self) -> None:
        super().__init__(_("settings"))

    @property
    def _app(self) -> WorkbenchApp:
        return cast("WorkbenchApp", self.app)

    def compose_body(self) -> ComposeResult:
        """A row a preference, what the one with the focus means, what is wrong, a button."""
        for item in PREFERENCES:
            yield Horizontal(Label(_(item.title)), self._field(item), classes="row")
        with Vertical(id="settings-notes"):
            yield Static(id="settings-help", markup=False)
            yield Static(self._where(), id="settings-where")
            yield Static(id="settings-note", markup=False)
        with Horizontal(classes="buttons"):
            yield Button(_("Save"), id="save", variant="primary", compact=True)

    def _field(self, item: Preference) -> Widget:
        value, name = self._app.preferences[item.name], f"setting-{item.name}"
        if item.name == "theme":
            themes = [(theme, theme) for theme in sorted(self.app.available_themes)]
            chosen = str(value) if str(value) in self.app.available_themes else ""
            return self._menu([(_(AS_IT_WAS), ""), *themes], chosen, name)
        if isinstance(item.default, bool):
            return self._menu([(_("no"), ""), (_("yes"), "yes")], "yes" if value else "", name)
        if item.choices:
            return self._menu([(choice, choice) for choice in item.choices], str(value), name)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        return Entry(text, compact=True, id=name)

    def _menu(self, options: list[tuple[str, str]], value: str, name: str) -> Select[str]:
        return Select(options, value=value, allow_blank=False, compact=True, id=name)

    def _where(self) -> Content:
        """Where the file lies, and what overrides it."""
        app = self._app
        path = str(app.preferences_path or "")
        others = {
            name: source for name, source in app.preferences.sources.items() if source != path
        }
        lines = [_("file: {path}; its [keys] table changes keys", path=path)]
        lines += [
            _("{name} comes from {source}, which overrides it", name=name, source=source)
            for name, source in others.items()
        ]
        return muted("\n".join(lines))

    def on_descendant_focus(self) -> None:
        """Explain the field that has the focus."""
        name = (self.focused.id or "") if self.focused else ""
        item = next((item for item in PREFERENCES if name == f"setting-{item.name}"), None)
        if item:
            later = _("; from the next start") if item.waits else ""
            text = f"{_(item.title)}: {_(item.help)}{later}"
            self.query_one("#settings-help", Static).update(text)

    def on_button_pressed(self) -> None:
        """The button saves."""
        self.action_save()

    def on_input_submitted(self) -> None:
        """Enter in a field saves."""
        self.action_save()

    def action_save(self) -> None:
        """Write the file, and follow it."""
        values: dict[str, Value] = {}
        for item in PREFERENCES:
            try:
                values[item.name] = item.read(self._raw(item))
            except ValueError:
                note = _("{name}: expected {expected}.", name=_(item.title), expected=item.expected)
                self.query_one("#settings-note", Static).update(note)
                self.query_one(f"#setting-{item.name}").focus()
                return
        app = self._app
        try:
            if app.preferences_path:
                save(app.preferences_path, values)
        except KgptError as error:
            app.show_error(error)
            return
        app.adjust(values)
        self.dismiss(None)
        app.notify(str(app.preferences_path or ""), title=_("Settings saved"), markup=False)

    def _raw(self, item: Preference) -> object:
        field = self.query_one(f"#setting-{item.name}")
        if isinstance(field, Select):
            value = str(field.value)
            return bool(value) if isinstance(item.default, bool) else value
        return cast(Entry, field).value.strip()
