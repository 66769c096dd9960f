"""What the model writes, as it writes it, with a line that says how it goes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from workbench import wording
from workbench.playground import Generation, Playground
from workbench.widgets.run_details import muted

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REASONS = {
    "length": "reached max tokens",
    "stop": "met a stop text",
    "end_of_text": "the model ended its text",
}


class Output(Vertical):
    """The text in a pane that scrolls along, and the line below it."""

    def __init__(self) -> None:
        super().__init__(id="output")

    def compose(self) -> ComposeResult:
        """Text above, state below."""
        with VerticalScroll(id="text-pane"):
            yield Static(id="text")
        yield Static(id="progress-line")

    def show(self, generation: Generation | None, playground: Playground) -> None:
        """Show a generation (or the engine's state when there is none yet)."""
        pane, text = self.query_one("#text-pane", VerticalScroll), self.query_one("#text", Static)
        follows = pane.is_vertical_scroll_end
        text.update(_text(generation))
        if follows and generation and generation.is_active:
            pane.scroll_end(animate=False)
        self.query_one("#progress-line", Static).update(_line(generation, playground))


def _text(generation: Generation | None) -> Content:
    if generation is None:
        return muted("Write a prompt and press ctrl+g: the model continues it here.")
    cursor = "▌" if generation.state == "writing" else ""
    return Content.assemble(
        Content.styled(generation.prompt, "$foreground-muted"),
        Content(generation.text),
        (cursor, "$primary"),
    )


def _line(generation: Generation | None, playground: Playground) -> Content:
    if generation is None or generation.state in ("waiting", "starting", "loading"):
        return _engine_line(generation, playground)
    if generation.state == "failed" and generation.error:
        error = generation.error
        return Content.assemble((f"✗ {error.title}", "bold $error"), muted(f"  {error.message}"))
    figures = _figures(generation)
    if generation.state == "writing":
        return Content.assemble((_frame(playground) + " writing", "$primary"), muted(figures))
    if generation.state == "stopping":
        return Content.assemble(("■ stopping", "$warning"), muted(figures))
    if generation.state == "stopped":
        return Content.assemble(("■ stopped", "$warning"), muted(figures))
    reason = REASONS.get(generation.reason, generation.reason)
    return Content.assemble(("✓ done", "$success"), muted(f"{figures} · {reason}"))


def _engine_line(generation: Generation | None, playground: Playground) -> Content:
    queued = "queued: " if generation is not None and generation.is_active else ""
    if playground.stage:
        waited = wording.duration(playground.clock() - playground.stage_since)
        text = f"{_frame(playground)} {queued}{playground.stage}… {waited}"
        return Content.styled(text, "$accent")
    if playground.engine.state == "ready" and playground.loaded:
        return Content.assemble(("● ready", "$success"), muted(_model(playground)))
    return muted("· the engine is off; it starts with the first generation")


def _model(playground: Playground) -> str:
    loaded = playground.loaded
    parts = [
        f"step {wording.whole(loaded['step'])}" if loaded.get("step") is not None else "",
        f"{wording.short(loaded['parameters'])} parameters" if loaded.get("parameters") else "",
        f"context {wording.whole(loaded['context_length'])}"
        if loaded.get("context_length")
        else "",
    ]
    return "".join(f" · {part}" for part in parts if part)


def _frame(playground: Playground) -> str:
    return FRAMES[int(playground.clock() * 10) % len(FRAMES)]


def _figures(generation: Generation) -> str:
    parts = [f"{generation.tokens} tokens"]
    if generation.tokens_per_second is not None:
        parts.append(f"{wording.short(generation.tokens_per_second)} tok/s")
    if generation.seconds_to_first_token is not None:
        parts.append(f"first {generation.seconds_to_first_token:.2f} s")
    if generation.options.seed is not None:
        parts.append(f"seed {generation.options.seed}")
    return "".join(f" · {part}" for part in parts)
