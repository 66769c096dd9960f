"""Jump mode: a letter over everything that can have the focus; pressing it goes there.

In: the screen below. Out: the focus, or where a list lies under the letter, its cursor as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Label

from workbench.key import Place
from workbench.widgets.bindings import bindings_of

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
"""Those under the fingers first."""


def places_of(widgets: Sequence[Widget]) -> dict[str, Widget]:
    """A letter for each widget that is on the screen, from the top left to the bottom right."""
    shown = [item for item in widgets if item.region.area and item.is_on_screen]
    shown.sort(key=lambda item: (item.region.y, item.region.x))
    return dict(zip(LETTERS, shown, strict=False))


class JumpScreen(ModalScreen[Widget | None]):
    """Comes back with the widget that was meant."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("jump")]
    place: ClassVar[Place] = "jump"

    def __init__(self, widgets: Sequence[Widget]) -> None:
        super().__init__()
        self.targets = places_of(widgets)

    def compose(self) -> ComposeResult:
        """The letters, each in the first line of what it stands for."""
        for letter, widget in self.targets.items():
            label = Label(letter)
            label.styles.offset = (widget.region.x + 1, widget.region.y)
            yield label

    def on_key(self, event: events.Key) -> None:
        """A letter goes there; any other key changes nothing."""
        if event.character in self.targets:
            event.stop()
            self.dismiss(self.targets[event.character])

    def on_click(self) -> None:
        """A click gives up."""
        self.dismiss(None)

    def action_cancel(self) -> None:
        """Stay."""
        self.dismiss(None)
