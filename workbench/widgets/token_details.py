"""What the model thought where it took a token: its id, bytes and probability, and what else it could have taken."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from kgpt.language import _, number
from workbench.generations import Generation
from workbench.tokens import Alternative, Token, visible
from workbench.widgets.colors import muted

BAR_CELLS = 12


class TokenDetails(Vertical):
    """A line about the token, and a list of its alternatives: choosing one goes on from there."""

    class Taken(Message):
        """Another token is to be taken at a place of a generation."""

        def __init__(self, generation: Generation, place: int, token: Token) -> None:
            super().__init__()
            self.generation, self.place, self.token = generation, place, token

    def __init__(self) -> None:
        super().__init__(id="token-details")
        self._generation: Generation | None = None
        self._place: int | None = None
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """A line and a list."""
        yield Static(id="token-line")
        yield OptionList(id="alternatives", compact=True)

    def show(self, generation: Generation | None, place: int | None) -> None:
        """Explain the token at `place` of a generation."""
        self._generation, self._place = generation, place
        is_there = generation is not None and place is not None and place < len(generation.written)
        token = generation.written[place] if generation and is_there and place is not None else None
        drawn = (generation.number if generation else None, place, token)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        self.query_one("#token-line", Static).update(_line(token, place))
        options = self.query_one(OptionList)
        options.clear_options()
        if token:
            options.add_options(
                Option(_alternative(other, other.token == token.token), id=str(number))
                for number, other in enumerate(token.alternatives)
            )
            options.highlighted = 0 if token.alternatives else None

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on from here with the chosen token."""
        event.stop()
        if self._generation is None or self._place is None:
            return
        token = self._generation.written[self._place]
        other = token.alternatives[int(event.option.id or 0)]
        self.post_message(
            self.Taken(self._generation, self._place, Token(other.token, other.content))
        )


def _line(token: Token | None, place: int | None) -> Content:
    if token is None or place is None:
        return muted(_("Tokens appear here with what else the model held probable."))
    content = token.content.hex(" ") or _("none")
    parts = [muted("  " + _("id {token} · bytes {content}", token=token.token, content=content))]
    if token.probability is not None and token.surprise is not None:
        parts.append(
            muted(
                " · "
                + _(
                    "p {probability:.4f} · {surprise:.1f} bits",
                    probability=token.probability,
                    surprise=token.surprise,
                )
            )
        )
    return Content.assemble(muted(f"{place + 1}  "), (visible(token.content), "bold"), *parts)


def _alternative(other: Alternative, is_taken: bool) -> Content:
    filled = round(other.probability * BAR_CELLS)
    mark = "●" if is_taken else " "
    return Content.assemble(
        (f"{mark} {number(other.probability, '7.2%')} ", "$accent" if is_taken else ""),
        ("▇" * filled, "$primary"),
        muted("·" * (BAR_CELLS - filled)),
        f" {visible(other.content)} ",
        muted(f"{other.token}"),
    )
