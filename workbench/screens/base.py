"""What the three screens have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from kgpt.language import _, ngettext
from workbench.key import Place
from workbench.keys import writing_actions
from workbench.widgets.bindings import TranslatedKeys
from workbench.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp
    from workbench.widgets.divider import Divider


class WorkbenchScreen(TranslatedKeys, Screen[None]):
    """A bar at the top, a footer, and a body that the subclass composes in `compose_body`.

    The app calls `show_runs` when the catalog has changed, and whenever the screen comes to the front.
    """

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (104, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]
    place: ClassVar[Place]

    @property
    def workbench(self) -> WorkbenchApp:
        """The app, by its own type."""
        return cast("WorkbenchApp", self.app)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """With --read-only, what changes something is neither shown nor done."""
        return not (self.workbench.is_read_only and action in writing_actions(self.place))

    def compose(self) -> ComposeResult:
        """Bar, body, footer."""
        yield TopBar(self.place)
        yield from self.compose_body()
        yield Footer(compact=True)

    def compose_body(self) -> ComposeResult:
        """What lies between bar and footer."""
        raise NotImplementedError

    def on_resize(self) -> None:
        """In another terminal, a pane that the user has resized has another room."""
        for divider in self._dividers:
            self.call_after_refresh(divider.fit)

    @property
    def _dividers(self) -> list[Divider]:
        return [cast("Divider", found) for found in self.query("Divider")]

    def on_divider_moved(self, event: Divider.Moved) -> None:
        """Remember the size of the pane."""
        setattr(self.workbench.settings, f"{self.place}_pane", event.size)

    def action_resize_pane(self, direction: int) -> None:
        """Make the side pane larger (1) or smaller (-1)."""
        for divider in self._dividers:
            divider.move(direction)

    def show_runs(self) -> None:
        """Show the runs as they stand in the app's catalog."""
        raise NotImplementedError

    def show_note(self) -> None:
        """Say at the top how many runs there are, and where."""
        catalog = self.workbench.catalog
        count, live = len(catalog.summaries), sum(run.is_live for run in catalog.summaries)
        parts = [
            ngettext("{count} run", "{count} runs", count),
            _("{count} live", count=live) if live else "",
            str(catalog.root),
        ]
        self.query_one(TopBar).note = " · ".join(part for part in parts if part)

    def go_back(self) -> bool:
        """Take one step back inside the screen; whether there was one to take."""
        return False

    def on_screen_resume(self) -> None:
        """Catch up with what has happened meanwhile."""
        self.show_runs()
