"""Screen 4: what a model looks at in a text, and what becomes of its next word without each of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, ScrollableContainer, Vertical, VerticalScroll
from textual.content import Content
from textual.style import Style
from textual.widgets import Select, Static

from kgpt.language import _
from workbench import wording
from workbench.attention_study import ALL, LayerOrHead, View
from workbench.screens.base import WorkbenchScreen
from workbench.widgets import attention_map
from workbench.widgets.attention_map import AttentionMap
from workbench.widgets.bindings import bindings_of
from workbench.widgets.colors import muted
from workbench.widgets.entry import TextEntry
from workbench.widgets.model_picker import ModelPicker
from workbench.widgets.output import spinner

EXAMPLE = "A cachorra viu o menino, e ela"
"""A pronoun with one possible antecedent."""


class AttentionScreen(WorkbenchScreen):
    """Text and model above; below a map, and the words that the chosen token draws on."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("attention")]
    AUTO_FOCUS = "#attention-text"
    place = "attention"

    def compose_body(self) -> ComposeResult:
        """Two rows, each of two parts."""
        with Vertical(id="attention-body"):
            with Horizontal(id="attention-top"):
                text = TextEntry(
                    EXAMPLE,
                    soft_wrap=True,
                    show_line_numbers=False,
                    compact=True,
                    id="attention-text",
                )
                text.border_title, text.cursor_blink = _("text"), False
                yield text
                with Vertical(id="attention-model") as model:
                    model.border_title = _("model")
                    yield ModelPicker()
            yield Static(id="attention-view")
            with Horizontal(id="attention-main"):
                with ScrollableContainer(id="map-pane", can_focus=False):
                    yield AttentionMap()
                with VerticalScroll(id="draws-pane", can_focus=False):
                    yield Static(id="draws")
            yield Static(id="attention-line")

    def on_mount(self) -> None:
        """Nothing read yet; the clock shows how long the engine takes."""
        self._view = View()
        self._token: int | None = None
        self._is_ablation = False
        self._opened = ""
        self._run_shown: str | None = None
        self.set_interval(0.1, self._count_on)

    # === Showing ===

    def show_runs(self) -> None:
        """Offer the runs, and take up a text that another screen has sent."""
        self.show_note()
        picker = self.query_one(ModelPicker)
        picker.show_runs(self.workbench.catalog.summaries)
        wanted = self.workbench.chosen_run
        if wanted and wanted != self._run_shown:
            picker.choose_run(wanted)
            self._run_shown = wanted
        study = self.workbench.attention
        if study.target is not None and study.text != self._opened:
            picker.choose(study.target)
            self.query_one(TextEntry).text = study.text
            self._begin()
        self.show_attention()

    def show_attention(self) -> None:
        """Draw what has come."""
        study = self.workbench.attention
        self._show_view()
        self._show_line()
        words, matrix = study.words, study.matrix(self._view)
        pane = self.query_one("#map-pane")
        if words is None or not words.ids:
            self.query_one(AttentionMap).say(
                _("ctrl+g reads the text: what looks at what appears here.")
            )
            self.query_one("#draws", Static).update("")
            return
        if self._token is None:
            self._token = len(words.ids) - 1
        token = min(self._token, len(words.ids) - 1)
        shares = dict(matrix.draws(token, words)) if matrix else {}
        pane.border_title = _("ablation") if self._is_ablation else _("map")
        if self._is_ablation and matrix:
            self._show_ablation(token, shares)
        elif matrix:
            self.query_one(AttentionMap).show(words, matrix, token)
        if matrix:
            lines = [
                attention_map.chips(words, token, shares),
                attention_map.draws(words, token, matrix.draws(token, words), self._width),
            ]
            self.query_one("#draws", Static).update(Content("\n\n").join(lines))

    @property
    def _width(self) -> int:
        """Columns for the words that a token draws on."""
        return max(1, self.query_one("#draws-pane").scrollable_content_region.width)

    def _show_ablation(self, token: int, shares: dict[int, float]) -> None:
        study = self.workbench.attention
        found = study.ablated(token)
        if found and study.words:
            width = self.query_one("#map-pane").scrollable_content_region.width
            picture = attention_map.ablation(study.words, found, shares, max(1, width))
            self.query_one(AttentionMap).draw(picture)
        else:
            self.query_one(AttentionMap).say(_("Each word is being left out in turn…"))
            if not study.stage and not study.error:
                self.workbench.studies.ablate(token)

    def _show_view(self) -> None:
        view, study = self._view, self.workbench.attention
        layer = (
            _("all layers")
            if view.layer == ALL
            else _(
                "layer {layer} of {num_layers}",
                layer=int(view.layer) + 1,
                num_layers=study.num_layers,
            )
        )
        head = (
            _("mean of heads")
            if view.head == ALL
            else _("head {head} of {num_heads}", head=int(view.head) + 1, num_heads=study.num_heads)
        )
        words = [
            self._switch("map", _("Map"), not self._is_ablation),
            self._switch("ablation", _("a Ablation"), self._is_ablation),
            self._switch("rollout", _("r Rollout"), view.is_rollout),
            Content(" ").join(
                [_arrow("layer", -1, "◂"), Content.styled(layer, "bold"), _arrow("layer", 1, "▸")]
            ),
            Content(" ").join(
                [_arrow("head", -1, "◂"), Content.styled(head, "bold"), _arrow("head", 1, "▸")]
            ),
        ]
        self.query_one("#attention-view", Static).update(Content("   ").join(words))

    def _switch(self, name: str, title: str, is_on: bool) -> Content:
        mark = "●" if is_on else "○"
        content = Content.from_markup(f"[@click=screen.{name}]{mark} {title}[/]")
        return content.stylize("bold") if is_on else content

    def _count_on(self) -> None:
        if self.is_current and self.workbench.attention.stage:
            self._show_line()

    def _show_line(self) -> None:
        """What is being done, or what went wrong."""
        study = self.workbench.attention
        line = Content("")
        if study.stage:
            waited = wording.duration(study.playground.clock() - study.stage_since)
            stage = study.playground.stage or study.stage
            line = Content.styled(f"{spinner(study.playground)} {stage}… {waited}", "$accent")
        elif study.error:
            details = Content.from_markup("  [@click=app.error_details]" + _("E details") + "[/]")
            title = Content.styled(f"✗ {study.error.title}", "bold $error")
            line = Content.assemble(title, details, muted(f"  {study.error.message}"))
        elif study.words:
            counts = _(
                "{count} tokens · {count_2} words",
                count=len(study.words.ids),
                count_2=len(study.words.spans),
            )
            line = muted(
                _("{counts} · attention shows where a model looks, not what it uses", counts=counts)
            )
        self.query_one("#attention-line", Static).update(line)

    # === Asking ===

    def on_click(self, event: events.Click) -> None:
        """To the token that was clicked."""
        token = event.style.meta.get("token")
        if isinstance(token, int):
            self._token = token
            self._ask()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another model has read nothing yet."""
        picker = self.query_one(ModelPicker)
        if event.select.id == "run" and picker.run:
            self.workbench.chosen_run = self._run_shown = picker.run.name
        if self.workbench.attention.words and picker.target != self.workbench.attention.target:
            self._begin()

    def action_read(self) -> None:
        """Read the text."""
        if self.query_one(ModelPicker).target is None:
            message = _("Train one first: kgpt-train. It appears here by itself.")
            self.notify(message, title=_("There is no checkpoint to look into"), severity="warning")
        else:
            self._begin()

    def _begin(self) -> None:
        target, text = self.query_one(ModelPicker).target, self.query_one(TextEntry).text
        if target is not None:
            self._opened, self._token = text, None
            self.workbench.attention.open(target, text)
            self.query_one(AttentionMap).focus()
            self._ask()

    def _ask(self) -> None:
        """Have computed what this view shows, unless it has been."""
        study = self.workbench.attention
        if study.target is None:
            return
        if study.matrix(self._view) is None:
            self.workbench.studies.look(self._view)
        self.show_attention()

    # === Actions ===

    def action_token(self, by: int) -> None:
        """The token before or after."""
        words = self.workbench.attention.words
        if words and self._token is not None:
            self._token = max(0, min(self._token + by, len(words.ids) - 1))
            self._ask()

    def action_layer(self, by: int) -> None:
        """The layer before or after; before the first one, the mean of all."""
        self._look_at(
            replace(
                self._view, layer=_step(self._view.layer, by, self.workbench.attention.num_layers)
            )
        )

    def action_head(self, by: int) -> None:
        """The head before or after; before the first one, the mean of all."""
        self._look_at(
            replace(self._view, head=_step(self._view.head, by, self.workbench.attention.num_heads))
        )

    def action_mean(self) -> None:
        """All layers and heads."""
        self._look_at(View(is_rollout=self._view.is_rollout))

    def action_rollout(self) -> None:
        """Attention as it is, or rolled out up to the layer."""
        self._look_at(replace(self._view, is_rollout=not self._view.is_rollout))

    def _look_at(self, view: View) -> None:
        self._view = view
        self._ask()

    def action_ablation(self) -> None:
        """Without each word in turn; or the map again."""
        self._is_ablation = not self._is_ablation
        self._ask()

    def action_map(self) -> None:
        """The map."""
        self._is_ablation = False
        self._ask()

    def action_edit(self) -> None:
        """Back to the text."""
        self.query_one(TextEntry).focus()

    def action_copy(self) -> None:
        """Copy the words that the token draws on."""
        study = self.workbench.attention
        matrix = study.matrix(self._view)
        if study.words and matrix and self._token is not None:
            content = attention_map.draws(
                study.words, self._token, matrix.draws(self._token, study.words)
            )
            self.workbench.copy(content.plain, _("the words"))

    def go_back(self) -> bool:
        """From the text to the map, if there is one."""
        text = self.query_one(TextEntry)
        if text.has_focus and self.workbench.attention.words:
            self.query_one(AttentionMap).focus()
            return True
        return False


def _arrow(action: str, by: int, sign: str) -> Content:
    """An arrow to click."""
    return Content(sign).stylize(Style.from_meta({"@click": f"screen.{action}({by})"}))


def _step(now: LayerOrHead, by: int, count: int) -> LayerOrHead:
    place = (-1 if now == ALL else int(now)) + by
    return ALL if place < 0 else min(place, max(0, count - 1))
