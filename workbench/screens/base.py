"""What the three screens have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from kgpt.language import _, ngettext
from workbench.keys import Place, writing_actions
from workbench.widgets.bindings import TranslatedKeys
from workbench.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp


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
