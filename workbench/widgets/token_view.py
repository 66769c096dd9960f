"""The tokens of a text, each a chip: by turns light and dark, or the hotter the more it surprised the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content, Span
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.style import Style
from textual.widgets import Static

from workbench.chips import PROMPT, Lines, lay_out, line_of, vertical_neighbour
from workbench.tokens import Token, chip_texts
from workbench.widgets.bindings import bindings_of

HOTTEST_BITS = 12.0
"""Surprise from which on a chip is drawn in full heat."""
CHIPS = ("on $primary 14%", "on $primary 28%")


class TokenView(Static, can_focus=True):
    """A cursor walks the tokens; the mouse points at them."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("tokens")]
    ALLOW_SELECT = False
    place: ClassVar[str] = "tokens"
    cursor = reactive(0, init=False)
    """The token that the details are about."""
    is_heat = reactive(False, init=False)

    class Pointed(Message):
        """Another token is to be explained."""

        def __init__(self, view: TokenView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> TokenView:
            """The view."""
            return self.view

    class Chosen(Pointed):
        """The alternatives of the token under the cursor are wanted."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._prompt, self._tokens = "", ()  # type: tuple[str, Sequence[Token]]
        self._lines: Lines = [[]]
        self._shown: tuple[object, ...] = ()
        self._hovered: int | None = None

    @property
    def pointed(self) -> int | None:
        """The token that the mouse is on, else that of the cursor; None where there is none."""
        place = self.cursor if self._hovered is None else self._hovered
        return place if 0 <= place < len(self._tokens) else None

    def show(self, prompt: str, tokens: Sequence[Token]) -> None:
        """Show a text; only what changed is laid out again."""
        now = (prompt, len(tokens), tokens[0] if tokens else None, self._width)
        if now != self._shown:
            is_other = self._shown[:1] + self._shown[2:3] != (prompt, now[2])
            self._shown, self._prompt, self._tokens = now, prompt, tuple(tokens)
            if is_other:
                self.set_reactive(TokenView.cursor, 0)
                self._hovered = None
            self._lay_out()

    @property
    def _width(self) -> int:
        parent = self.parent
        width = parent.scrollable_content_region.width if isinstance(parent, VerticalScroll) else 0
        return max(8, width)

    def on_resize(self) -> None:
        """Another width has other lines."""
        if self._shown and self._shown[3] != self._width:
            self._shown = (*self._shown[:3], self._width)
            self._lay_out()

    def _lay_out(self) -> None:
        texts = chip_texts([token.content for token in self._tokens])
        self._lines = lay_out(self._prompt, texts, self._width)
        self._draw()
        self.post_message(self.Pointed(self))

    def _draw(self) -> None:
        parts: list[str] = []
        spans: list[Span] = []
        at = 0
        for number, line in enumerate(self._lines):
            for chip in line:
                end = at + len(chip.text)
                parts.append(chip.text)
                spans.append(Span(at, end, self._style(chip.token)))
                if chip.token != PROMPT:
                    spans.append(Span(at, end, Style.from_meta({"token": chip.token})))
                at = end
            if number < len(self._lines) - 1:
                parts.append("\n")
                at += 1
        self.update(Content("".join(parts), spans=spans))

    def _style(self, place: int) -> str:
        if place == PROMPT:
            return "$foreground-muted"
        if place == self.cursor:
            return "bold $background on $accent"
        if not self.is_heat:
            return CHIPS[place % 2]
        bits = self._tokens[place].surprise
        if bits is None:
            return ""
        return f"on $error {round(min(bits / HOTTEST_BITS, 1.0) * 80)}%"

    # === The cursor ===

    def watch_cursor(self) -> None:
        """Draw it, bring it into view, and tell."""
        self._draw()
        parent = self.parent
        if isinstance(parent, VerticalScroll):
            line = Region(0, line_of(self._lines, self.cursor), 1, 1)
            parent.scroll_to_region(line, animate=False)
        self.post_message(self.Pointed(self))

    def watch_is_heat(self) -> None:
        """The same tokens in other colours."""
        self._draw()

    def _go(self, place: int) -> None:
        self._hovered = None
        if self._tokens:
            self.cursor = max(0, min(place, len(self._tokens) - 1))

    def action_move(self, by: int) -> None:
        """The token before or after."""
        self._go(self.cursor + by)

    def action_line(self, by: int) -> None:
        """The token above or below."""
        self._go(vertical_neighbour(self._lines, self.cursor, by))

    def action_edge(self, place: int) -> None:
        """The first token (0) or the last (-1)."""
        self._go(0 if place == 0 else len(self._tokens) - 1)

    def action_choose(self) -> None:
        """To the alternatives of this token."""
        self.post_message(self.Chosen(self))

    # === The mouse ===

    def on_click(self, event: events.Click) -> None:
        """The cursor goes where one clicks; a second click asks for the alternatives."""
        place = event.style.meta.get("token")
        if isinstance(place, int):
            is_again = place == self.cursor and event.chain > 1
            self._go(place)
            if is_again:
                self.action_choose()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What the mouse is on is explained."""
        place = event.style.meta.get("token")
        hovered = place if isinstance(place, int) else None
        if hovered != self._hovered:
            self._hovered = hovered
            self.post_message(self.Pointed(self))

    def on_leave(self) -> None:
        """Back to the cursor's token."""
        if self._hovered is not None:
            self._hovered = None
            self.post_message(self.Pointed(self))
