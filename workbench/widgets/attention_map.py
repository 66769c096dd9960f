"""Attention drawn: a map of words by words, the words that a token draws on, and what becomes of it without them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size
from textual.containers import ScrollableContainer
from textual.content import Content
from textual.geometry import Region
from textual.style import Style
from textual.widgets import Static

from kgpt.language import _, number
from workbench.attention_study import Ablated, Matrix, Words
from workbench.tokens import visible
from workbench.widgets.colors import muted

SHADES = " ░▒▓█"
CELL = 2
"""Columns of a word in the map."""
LABEL = 14
"""Columns of a word's name beside the map."""
BESIDE_BAR = LABEL + 8
"""Columns of a line of `draws` before its bar."""
BESIDE_CHANGE = LABEL + 29
"""Columns of a line of `ablation` before its bar."""
HALF = 10
"""Columns for the largest change in either direction."""


class AttentionMap(Static, can_focus=True):
    """A row for each word that looks, a column for each that is looked at; the darker, the more it takes.

    Colour is never alone: the denser a sign, the darker its cell.
    """

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="map")

    def say(self, text: str) -> None:
        """A sentence in place of a picture; it wraps, where a picture is scrolled."""
        self.add_class("said")
        self.update(muted(text))

    def draw(self, picture: Content) -> None:
        """A picture, as wide as it is."""
        self.remove_class("said")
        self.update(picture)

    def show(self, words: Words, matrix: Matrix, token: int) -> None:
        """Draw a matrix; the row of the word that `token` belongs to is marked and brought into view."""
        chosen = words.of_token(token)
        lines = [_heading(len(words.spans))]
        for word in range(len(words.spans)):
            lines.append(_row(words, word, matrix.word_row(word, words), word == chosen))
        self.draw(Content("\n").join(lines))
        parent = self.parent
        if isinstance(parent, ScrollableContainer):
            region = Region(LABEL + chosen * CELL, chosen + 1, CELL, 1)
            self.call_after_refresh(parent.scroll_to_region, region, animate=False)


def _heading(count: int) -> Content:
    """The columns' numbers, the tens where they change."""
    numbers = "".join(
        f"{word % 10:>{CELL}}" if word % 10 else f"{word:>{CELL}}"[-CELL:]
        for word in range(1, count + 1)
    )
    return muted(" " * LABEL + numbers)


def _row(words: Words, word: int, row: Sequence[float], is_chosen: bool) -> Content:
    name = set_cell_size(f"{word + 1:>3} {words.text(word)}", LABEL - 1) + " "
    cells = [(name, "bold $accent" if is_chosen else "$foreground-muted")]
    for share in row:
        shade = SHADES[min(len(SHADES) - 1, round(share**0.5 * (len(SHADES) - 1)))]
        cells.append((shade * CELL, f"$primary on $primary {round(min(share, 1.0) * 60)}%"))
    return Content.assemble(*cells)


def chips(words: Words, token: int, shares: dict[int, float]) -> Content:
    """The text, its chosen token marked, the words that it draws on the lighter the less; each can be clicked."""
    parts = []
    for place, text in enumerate(words.chips()):
        share = shares.get(words.of_token(place), 0.0)
        style = f"on $primary {round(share * 70)}%" if place <= token else "$foreground-muted"
        chip = Content.styled(text, "bold $background on $accent" if place == token else style)
        parts.append(chip.stylize(Style.from_meta({"token": place})))
    return Content("").join(parts)


def draws(
    words: Words, token: int, shares: Sequence[tuple[int, float]], width: int = 40
) -> Content:
    """`ela` and the words that it draws on, strongest first, in lines of at most `width` columns."""
    lines = [
        Content.assemble(
            (visible(words.contents[token]), "bold $accent"), muted("  " + _("draws on"))
        )
    ]
    strongest = max((share for _word, share in shares), default=1.0) or 1.0
    for word, share in shares:
        bar = "▇" * round(share / strongest * max(1, width - BESIDE_BAR))
        name = set_cell_size(words.text(word), LABEL)
        lines.append(Content.assemble(f"{name} {number(share, '6.1%')} ", (bar, "$primary")))
    return Content("\n").join(lines)


def ablation(words: Words, found: Ablated, shares: dict[int, float], width: int = 80) -> Content:
    """For each word, the next token's probability without it, beside what attention takes from the word.

    The change is drawn too where a line of `width` columns has room for it.
    """
    half = min(HALF, (width - BESIDE_CHANGE - 1) // 2)
    follows = _("follows in the text") if found.is_in_text else _("is the likeliest next token")
    without, change_title, to, attention = _("without"), _("change"), _("to"), _("attention")
    lines = [
        Content.assemble(
            (visible(found.token), "bold $accent"),
            muted(f" {follows}: {number(found.probability, '.1%')}"),
        ),
        muted(f"{without:<{LABEL}} {change_title:>7} {to:>7} {attention:>10}"),
    ]
    largest = max((abs(change) for _word, change in found.moves()), default=0.0) or 1.0
    for word, change in found.moves():
        name = set_cell_size(words.text(word), LABEL)
        lines.append(
            Content.assemble(
                f"{name} {number(change * 100, '+7.2f')} {number(found.without[word], '7.2%')}",
                muted(f" {number(shares.get(word, 0.0), '10.1%')}  "),
                *_change_bar(change / largest, half),
            )
        )
    return Content("\n").join(lines)


def _change_bar(change: float, half: int) -> list[tuple[str, str]]:
    """To the left, less probable without the word; to the right, more."""
    if half < 3:
        return []
    size = round(abs(change) * half)
    left = ("◀" * size if change < 0 else "").rjust(half)
    right = ("▶" * size if change > 0 else "").ljust(half)
    return [(left, "$warning"), ("│", "$foreground-muted"), (right, "$success")]
