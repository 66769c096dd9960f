"""The dialogs that open over any screen: help, the last error, themes, settings, a letter for every place.

A dialog is imported when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kgpt.errors import KgptError
from kgpt.language import _
from workbench.adjusted import AdjustedApp
from workbench.key import PLACE_TITLES
from workbench.preferences import Preferences
from workbench.screens.base import WorkbenchScreen

if TYPE_CHECKING:
    from textual.widget import Widget


class ModalApp(AdjustedApp):
    """What can be asked for on every screen, and is answered on top of it."""

    def __init__(
        self,
        preferences: Preferences | None = None,
        preferences_path: Path | None = None,
        is_read_only: bool = False,
    ) -> None:
        super().__init__(preferences, preferences_path)
        self.is_read_only = is_read_only
        self.last_error: tuple[KgptError, str] | None = None
        """What failed last, with the end of the engine's log."""

    @property
    def unfinished(self) -> Sequence[str]:
        """What leaving would put an end to, by name."""
        return ()

    def action_help(self) -> None:
        """Show the help for this screen."""
        from workbench.screens.help import HelpScreen

        if isinstance(self.screen, WorkbenchScreen):
            within = getattr(self.focused, "place", None)
            places = [within] if within in PLACE_TITLES else []
            self.push_screen(HelpScreen(*places, self.screen.place))

    def action_error_details(self) -> None:
        """Show the last error in full."""
        from workbench.screens.error import ErrorScreen

        if self.last_error is None:
            self.notify(_("Nothing has failed."), timeout=3)
        elif isinstance(self.screen, WorkbenchScreen):
            self.push_screen(ErrorScreen(*self.last_error))

    def action_next_theme(self) -> None:
        """The next theme."""
        names = sorted(self.available_themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(self.theme, title=_("Theme"), timeout=2)

    def action_themes(self) -> None:
        """Choose a theme."""
        from workbench.screens.themes import ThemesScreen

        self.push_screen(ThemesScreen())

    def action_settings(self) -> None:
        """Change the settings."""
        from workbench.screens.settings import SettingsScreen

        if self.is_read_only:
            self.notify(_("The workbench was opened with --read-only."), severity="warning")
        elif isinstance(self.screen, WorkbenchScreen):
            self.push_screen(SettingsScreen())

    def action_jump(self) -> None:
        """Put a letter on every place to go to."""
        from workbench.screens.jump import JumpScreen

        if self.screen.focus_chain and not isinstance(self.screen, JumpScreen):
            self.push_screen(JumpScreen(self.screen.focus_chain), self._jump_to)

    def _jump_to(self, widget: Widget | None) -> None:
        if widget is not None:
            widget.focus()

    async def action_quit(self) -> None:
        """Leave; ask first where something would be lost. Trainers go on without the workbench."""
        from workbench.screens.dialogs import ConfirmScreen

        if not self.unfinished or isinstance(self.screen, ConfirmScreen):
            self.exit()
            return
        names = ", ".join(self.unfinished)
        text = _("The export to {names} is not done and would be stopped.", names=names)
        self.push_screen(
            ConfirmScreen(_("leave?"), text), lambda answer: self.exit() if answer else None
        )
