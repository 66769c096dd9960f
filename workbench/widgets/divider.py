"""The border between two panes, dragged by the mouse or moved by keys.

In: the pane behind it (below, or to the right) and the size that the user gave it last. Out: that pane's size. What the
user wants is kept as it is; what there is room for follows the terminal.
"""

from __future__ import annotations

from typing import Literal

from textual.content import Content
from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

Axis = Literal["width", "height"]

STEPS: dict[Axis, int] = {"width": 2, "height": 1}
"""Cells that a key moves it by."""


class Divider(Static):
    """A line of one cell before the pane that it makes smaller and larger."""

    ALLOW_SELECT = False

    class Moved(Message):
        """The user has given the pane another size."""

        def __init__(self, size: int) -> None:
            super().__init__()
            self.size = size
            """Cells of the pane."""

    def __init__(self, pane: str, axis: Axis, least: int, least_before: int, wanted: int) -> None:
        """`pane` is a selector; `least` cells stay for it, and `least_before` for what is before the divider.

        `wanted` is the size to begin with; 0 leaves it to the style sheet.
        """
        super().__init__(classes=f"divides-{axis}")
        self._pane, self._axis, self._wanted = pane, axis, wanted
        self._least, self._least_before = least, least_before
        self._grab: tuple[int, int] | None = None
        """Where the mouse took hold, and the size of the pane then."""

    def render(self) -> Content:
        """A line below or above others; between columns, whose frames are lines enough, a grip."""
        if self._axis == "height":
            return Content("─" * self.size.width)
        middle = self.size.height // 2
        return Content("\n" * max(0, middle - 1) + "┃\n┃\n┃")

    def on_resize(self) -> None:
        """It is shown, perhaps for the first time: give the pane the size of the last session."""
        self.call_after_refresh(self.fit)

    @property
    def _widget(self) -> Widget:
        return self.screen.query_one(self._pane)

    def fit(self) -> None:
        """Give the pane the size that is wanted, as far as there is room for it."""
        if self._wanted and self._room:
            setattr(self._widget.styles, self._axis, self._within(self._wanted))

    @property
    def _room(self) -> int:
        """Cells of both panes and the border; 0 while nothing is shown."""
        parent = self.parent
        return int(getattr(parent.size, self._axis)) if isinstance(parent, Widget) else 0

    def _within(self, size: int) -> int:
        return max(self._least, min(size, self._room - self._least_before - 1))

    def move(self, direction: int) -> None:
        """Make the pane larger (1) or smaller (-1)."""
        if self.display and self._room:
            self._resize(self._now + direction * STEPS[self._axis])

    @property
    def _now(self) -> int:
        if self._wanted:  # a key may come before the layout that the one before it asked for
            return self._within(self._wanted)
        return int(getattr(self._widget.outer_size, self._axis))

    def _resize(self, size: int) -> None:
        size = self._within(size)
        if size != self._now:
            self._wanted = size
            self.fit()
            self.post_message(self.Moved(size))

    # === The mouse ===

    def _place(self, event: MouseDown | MouseMove) -> int:
        return int(event.screen_x if self._axis == "width" else event.screen_y)

    def on_mouse_down(self, event: MouseDown) -> None:
        """Take hold of it."""
        self._grab = self._place(event), self._now
        self.capture_mouse()
        self.add_class("held")
        event.stop()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Take it along."""
        if self._grab is not None:
            start, size = self._grab
            self._resize(size + start - self._place(event))

    def on_mouse_up(self, event: MouseUp) -> None:
        """Let it go."""
        self._grab = None
        self.release_mouse()
        self.remove_class("held")
