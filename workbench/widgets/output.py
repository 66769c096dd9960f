"""What the model writes, as it writes it, with a line that says how it goes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from kgpt.language import N_, _, ngettext
from workbench import wording
from workbench.generations import Generation
from workbench.playground import Playground
from workbench.widgets.colors import muted
from workbench.widgets.token_details import TokenDetails
from workbench.widgets.token_view import TokenView

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REASONS = {
    "length": N_("reached max tokens"),
    "stop": N_("met a stop text"),
    "end_of_text": N_("the model ended its text"),
}


VIEWS = (N_("text"), N_("tokens"), N_("heat"))
"""Ways to see the same output: as it reads, token by token, and by how much each surprised the model."""
HINTS = {
    "text": "",
    "tokens": N_("arrows walk, ↵ alternatives"),
    "heat": N_("none of 0 bits to all of 12 bits of surprise"),
}


NAMES = {"user": N_("you"), "assistant": N_("model"), "system": N_("system")}
COLORS = {"user": "$secondary", "assistant": "$primary"}


class Pane(Vertical):
    """One text, and the line below it. The ids of the second pane of a pair end with `-2`."""

    def __init__(self, ending: str = "") -> None:
        super().__init__(id=f"pane{ending}", classes="pane")
        self._ending = ending

    def compose(self) -> ComposeResult:
        """The model's name where there are two; text or tokens; state."""
        ending = self._ending
        yield Static(id=f"pane-title{ending}", classes="pane-title")
        with VerticalScroll(id=f"text-pane{ending}", classes="text-pane"):
            yield Static(id=f"text{ending}")
        with VerticalScroll(id=f"tokens-pane{ending}", classes="text-pane", can_focus=False):
            yield TokenView(id=f"tokens{ending}")
        yield Static(id=f"progress-line{ending}", classes="progress-line")

    @property
    def tokens(self) -> TokenView:
        """The view of its tokens."""
        return self.query_one(TokenView)

    def show(
        self, generation: Generation | None, playground: Playground, view: str, is_paired: bool
    ) -> None:
        """Show a generation (or the engine's state when there is none yet)."""
        title = self.query_one(".pane-title", Static)
        title.display = is_paired
        if is_paired and generation:
            title.update(Content.styled(generation.target.title, "bold $secondary"))
        is_text = view == "text"
        pane = self.query_one(f"#text-pane{self._ending}", VerticalScroll)
        tokens_pane = self.query_one(f"#tokens-pane{self._ending}", VerticalScroll)
        pane.display, tokens_pane.display = is_text, not is_text
        shown = pane if is_text else tokens_pane
        follows = shown.is_vertical_scroll_end
        if is_text:
            self.query_one(f"#text{self._ending}", Static).update(_text(generation))
        else:
            self.tokens.is_heat = view == "heat"
            self._show_tokens(generation)
        if follows and generation and generation.is_active:
            shown.scroll_end(animate=False)
        line = self.query_one(f"#progress-line{self._ending}", Static)
        line.update(_line(generation, playground))

    def _show_tokens(self, generation: Generation | None) -> None:
        if generation and generation.written:
            self.tokens.show(generation.prompt, generation.written)
        elif generation:  # its tokens were not kept, or there are none yet
            self.tokens.show(generation.prompt + generation.text, ())
        else:
            self.tokens.show("", ())


class Output(Vertical):
    """A line of views, one text or two side by side, and what is to say about a token."""

    view = reactive("text", init=False)

    def __init__(self) -> None:
        super().__init__(id="output")
        self._shown: tuple[Generation, ...] = ()

    def compose(self) -> ComposeResult:
        """Views above, texts, details below."""
        yield Static(id="output-views")
        with Horizontal(id="panes"):
            yield Pane()
            yield Pane("-2")
        yield TokenDetails()

    def on_mount(self) -> None:
        """One text."""
        self.query_one("#pane-2").display = False
        self._show_views()

    def show(self, generations: Sequence[Generation], playground: Playground) -> None:
        """Show a generation, or two side by side (or the engine's state when there is none yet)."""
        self._shown = tuple(generations[:2])
        is_paired = len(self._shown) == 2
        first, second = self.query_one("#pane", Pane), self.query_one("#pane-2", Pane)
        second.display = is_paired
        first.show(self._shown[0] if self._shown else None, playground, self.view, is_paired)
        if is_paired:
            second.show(self._shown[1], playground, self.view, True)
        self._show_details()

    def watch_view(self) -> None:
        """Another view of the same."""
        self._show_views()
        self._show_details()

    def _show_views(self) -> None:
        words = []
        for view in VIEWS:
            title = _(view).capitalize()
            if view == self.view:
                words.append(Content.styled(title, "bold $primary"))
            else:
                words.append(Content.from_markup(f"[@click=screen.view('{view}')]{title}[/]"))
        words.append(muted(_(HINTS[self.view]) if HINTS[self.view] else ""))
        self.query_one("#output-views", Static).update(Content("   ").join(words))

    def _show_details(self) -> None:
        details = self.query_one(TokenDetails)
        details.display = self.view != "text"
        if details.display:
            pane = self.pane_in_use
            place = 1 if pane.id == "pane-2" else 0
            generation = self._shown[place] if place < len(self._shown) else None
            details.show(generation, pane.tokens.pointed)

    @property
    def pane_in_use(self) -> Pane:
        """The pane whose tokens have the focus, else the first."""
        second = self.query_one("#pane-2", Pane)
        is_second = second.display and (second.tokens.has_focus or second.tokens.mouse_hover)
        return second if is_second else self.query_one("#pane", Pane)

    @property
    def generation_in_use(self) -> Generation | None:
        """The generation in that pane."""
        place = 1 if self.pane_in_use.id == "pane-2" else 0
        return self._shown[place] if place < len(self._shown) else None

    def on_token_view_pointed(self) -> None:
        """Explain another token."""
        self._show_details()

    def on_descendant_focus(self) -> None:
        """The other pane's token, perhaps."""
        self._show_details()

    def on_token_view_chosen(self) -> None:
        """To the alternatives."""
        self.query_one("#alternatives").focus()


def _text(generation: Generation | None) -> Content:
    if generation is None:
        return muted(_("Write above and press ctrl+g: what the model makes of it comes here."))
    cursor = "▌" if generation.state == "writing" else ""
    if generation.messages:
        return conversation(generation, cursor)
    return Content.assemble(
        Content.styled(generation.prompt, "$foreground-muted"),
        Content(generation.text),
        (cursor, "$primary"),
    )


def conversation(generation: Generation, cursor: str = "") -> Content:
    """The turns, each under who said it."""
    turns = [
        Content.assemble(
            (
                f"{_(NAMES.get(turn['role'], turn['role']))}\n",
                f"bold {COLORS.get(turn['role'], '$accent')}",
            ),
            turn["content"],
        )
        for turn in generation.turns
    ]
    if not generation.text and generation.is_active:
        turns.append(Content.styled(_(NAMES["assistant"]) + "\n", f"bold {COLORS['assistant']}"))
    return Content.assemble(Content("\n\n").join(turns), (cursor, "$primary"))


def _line(generation: Generation | None, playground: Playground) -> Content:
    if generation is None or generation.state in ("waiting", "starting", "loading"):
        return _engine_line(generation, playground)
    if generation.state == "failed" and generation.error:
        error = generation.error
        details = Content.from_markup("  [@click=app.error_details]" + _("E details") + "[/]")
        title = Content.styled(f"✗ {error.title}", "bold $error")
        return Content.assemble(title, details, muted(f"  {error.message}"))
    figures = _figures(generation)
    if generation.state == "writing":
        return Content.assemble(
            (spinner(playground) + " " + _("writing"), "$primary"), muted(figures), _cut(generation)
        )
    if generation.state == "stopping":
        return Content.assemble((_("■ stopping"), "$warning"), muted(figures))
    if generation.state == "stopped":
        return Content.assemble((_("■ stopped"), "$warning"), _cut(generation), muted(figures))
    reason = _(REASONS.get(generation.reason, generation.reason))
    return Content.assemble(
        (_("✓ done"), "$success"), muted(f"{figures} · {reason}"), _cut(generation)
    )


def _cut(generation: Generation) -> Content:
    """A warning when the model could no longer see the beginning."""
    if not generation.is_cut:
        return Content("")
    return Content.styled(" · ⚠ " + _("beginning forgotten"), "$warning")


def _engine_line(generation: Generation | None, playground: Playground) -> Content:
    queued = _("queued:") + " " if generation is not None and generation.is_active else ""
    if playground.stage:
        waited = wording.duration(playground.clock() - playground.stage_since)
        text = f"{spinner(playground)} {queued}{playground.stage}… {waited}"
        return Content.styled(text, "$accent")
    if playground.engine.state == "ready" and playground.loaded:
        return Content.assemble((_("● ready"), "$success"), muted(_model(playground)))
    return muted(_("· the engine is off; it starts with the first generation"))


def _model(playground: Playground) -> str:
    loaded = playground.loaded
    parts = [
        _("step {step}", step=wording.whole(loaded["step"]))
        if loaded.get("step") is not None
        else "",
        _("{parameters} parameters", parameters=wording.short(loaded["parameters"]))
        if loaded.get("parameters")
        else "",
        _("context {length}", length=wording.whole(loaded["context_length"]))
        if loaded.get("context_length")
        else "",
    ]
    return "".join(f" · {part}" for part in parts if part)


def spinner(playground: Playground) -> str:
    """A sign that moves with the clock."""
    return FRAMES[int(playground.clock() * 10) % len(FRAMES)]


def _figures(generation: Generation) -> str:
    parts = [ngettext("{count} token", "{count} tokens", generation.tokens)]
    if generation.places is not None and generation.context_length:
        parts.append(
            _(
                "context {places}/{length}",
                places=generation.places,
                length=generation.context_length,
            )
        )
    if generation.tokens_per_second is not None:
        parts.append(_("{speed} tok/s", speed=wording.short(generation.tokens_per_second)))
    if generation.seconds_to_first_token is not None:
        parts.append(_("first {seconds:.2f} s", seconds=generation.seconds_to_first_token))
    if generation.options.seed is not None:
        parts.append(_("seed {seed}", seed=generation.options.seed))
    return "".join(f" · {part}" for part in parts)
