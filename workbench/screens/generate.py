"""Screen 3: a prompt, a model, and what it makes of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Button, OptionList, Select

from kgpt.language import _
from workbench.generations import Generation, neighbour
from workbench.screens.writing import WritingScreen
from workbench.widgets.bindings import bindings_of
from workbench.widgets.device_badge import device_badge
from workbench.widgets.divider import Divider
from workbench.widgets.history import History
from workbench.widgets.label_bars import LabelBars
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.output import VIEWS, Output
from workbench.widgets.prompt import Prompt

FRAME_SECONDS = 1 / 20
"""Tokens that come faster than this are drawn together."""
GPU_SECONDS = 3
"""How often one looks whether a trainer uses the GPU."""
LABEL_SECONDS = 0.25
"""Without a key for so long, a text is labelled."""


class GenerateScreen(WritingScreen):
    """Prompt and output on the left, options and history on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("generate")]
    AUTO_FOCUS = "#prompt"
    place = "generate"

    def compose_body(self) -> ComposeResult:
        """Two columns."""
        with Horizontal(id="generate-body"):
            with Vertical(id="writing"):
                yield Prompt()
                yield Output()
                yield LabelBars()
            yield Divider("#side", "width", 28, 30, self.workbench.settings.generate_pane)
            with Vertical(id="side"):
                yield OptionsForm(self.workbench.settings)
                yield History()

    def on_mount(self) -> None:
        """Titles, and the clock that redraws while something is under way."""
        self._is_due = True
        self._run_shown: str | None = None
        self._put_back: Generation | None = None
        self._label_timer: Timer | None = None
        self.query_one(LabelBars).display = False
        output = self.query_one(Output)
        output.border_title = _("output")
        output.view = self.workbench.settings.view
        self.query_one("#form").border_title = _("model")
        self.set_interval(FRAME_SECONDS, self._draw_if_due)
        self.set_interval(GPU_SECONDS, self._look_at_gpu)

    # === Showing ===

    def show_runs(self) -> None:
        """Offer the runs, choose the one that the user comes from, and warm the engine up."""
        self.show_note()
        form = self.query_one(OptionsForm)
        form.show_runs(self.workbench.catalog.summaries)
        wanted = self.workbench.chosen_run
        if wanted and wanted != self._run_shown:
            form.choose_run(wanted)
            self._run_shown = wanted
        if checkpoint := self.workbench.chosen_checkpoint:
            self.workbench.chosen_checkpoint = None
            form.choose_checkpoint(checkpoint)
        if self.is_current:
            self._warm_up()
        self._show_kind()
        self.show_playground()

    def _show_kind(self) -> None:
        kind = self.kind
        self.query_one(Prompt).call_for(kind)
        self.query_one(Output).display = kind != "labels"
        self.query_one(LabelBars).display = kind == "labels"

    def _warm_up(self) -> None:
        target = self.query_one(OptionsForm).target
        if target is not None:
            self.workbench.writing.warm_up(target)

    def _look_at_gpu(self) -> None:
        if self.is_current:
            self.workbench.machine.watch_gpu()

    def show_machine(self) -> None:
        """Say where models write, while a trainer uses the GPU."""
        app = self.workbench
        badge = device_badge(app.device.trainer, app.device.is_cpu(app.playground.engine))
        self.query_one(Output).border_subtitle = badge

    def action_device(self) -> None:
        """Write on the CPU, or on the GPU beside a trainer; the engine begins anew."""
        app = self.workbench
        if app.device.trainer is None:
            self.notify(_("No trainer uses the GPU: f2 chooses the device."), timeout=4)
            return
        app.adjust({"device": "gpu" if app.device.is_cpu(app.playground.engine) else "cpu"})
        self.show_machine()

    def show_playground(self) -> None:
        """Something has changed: draw it with the next frame."""
        self._is_due = True

    @property
    def text_in_hand(self) -> Generation | None:
        """The generation that is looked at: of two side by side, the one with the focus."""
        return self.query_one(Output).generation_in_use or self.shown

    def _draw_if_due(self) -> None:
        playground = self.workbench.playground
        if not self.is_current or not (self._is_due or playground.is_busy or playground.stage):
            return
        self._is_due = False
        shown = self.shown
        if self.kind == "labels":
            self.query_one(LabelBars).show(self.workbench.labelling, playground.stage)
        if shown and shown.messages and shown.state == "failed" and shown is not self._put_back:
            self._put_back = shown  # what was written is not lost
            if not self.query_one(Prompt).text:
                self.query_one(Prompt).put(shown.prompt)
        self.query_one(Output).show(playground.pair(shown) if shown else (), playground)
        self.query_one(History).show(playground.history, shown)
        self.query_one(OptionsForm).set_busy(playground.is_busy)

    # === Events ===

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another model: load it while the user is still writing."""
        form = self.query_one(OptionsForm)
        if event.select.id == "run" and form.run:
            self.workbench.chosen_run = self._run_shown = form.run.name
        self._show_kind()
        self._warm_up()
        self.label()
        self.show_playground()

    def on_text_area_changed(self) -> None:
        """A classifier says what it thinks as one types."""
        if self._label_timer is not None:
            self._label_timer.stop()
        self._label_timer = self.set_timer(LABEL_SECONDS, self.label)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The one button does and undoes."""
        self.workbench.writing.stop() if self.workbench.playground.is_busy else self.action_generate()

    def on_input_submitted(self) -> None:
        """Enter in a field writes."""
        self.action_generate()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show a generation of before, and take its prompt and options."""
        generation = self.workbench.playground.get(int(event.option.id or 0))
        if generation:
            self.look_at(generation)

    def on_prompt_recall(self, event: Prompt.Recall) -> None:
        """Walk through the prompts of before; past the newest waits what was being written."""
        prompt = self.query_one(Prompt)
        history = [item.prompt for item in self.workbench.playground.history]
        found = self.prompts.step(event.direction, prompt.text, history)
        if found is not None:
            prompt.put(found)

    def action_stop(self) -> None:
        """Stop writing; when nothing is written, one step back."""
        focused = self.focused
        if self.workbench.playground.is_busy:
            self.workbench.writing.stop()
        elif focused is not None and focused.id == "alternatives":
            self.query_one(Output).pane_in_use.tokens.focus()
        elif focused is not None and focused.id != "history":
            self.query_one(History).focus()
        else:
            self.workbench.action_show("runs")

    # === Around it ===

    def action_edit(self) -> None:
        """Back to the prompt."""
        self.query_one(Prompt).focus()

    def action_recall(self, direction: int) -> None:
        """The generation before or after the one that is shown."""
        history = self.workbench.playground.history
        if history:
            shown = self.shown
            place = history.index(shown) + direction if shown in history else len(history) - 1
            self.look_at(history[max(0, min(place, len(history) - 1))])

    def action_walk(self, where: Literal["up", "down", "before", "after"]) -> None:
        """Through the tree of texts and their branches."""
        shown = self.shown
        found = neighbour(self.workbench.playground.history, shown, where) if shown else None
        if found:
            self.look_at(found)
        else:
            self.notify(_("There is none."), timeout=2)

    def action_next_view(self) -> None:
        """Text, tokens, heat."""
        view = self.query_one(Output).view
        self.action_view(VIEWS[(VIEWS.index(view) + 1) % len(VIEWS)])

    def action_view(self, view: str) -> None:
        """See the same output in another way; whoever writes a prompt goes on writing it."""
        output = self.query_one(Output)
        output.view = self.workbench.settings.view = view
        self._is_due = True
        self._draw_if_due()
        if view != "text" and not self.query_one(Prompt).has_focus:
            output.pane_in_use.tokens.focus()

    def action_compare(self) -> None:
        """A second model, beside the first; or the first alone."""
        form = self.query_one(OptionsForm)
        form.is_comparing = not form.is_comparing

    def action_more_options(self) -> None:
        """Unfold all sampling options, or fold them."""
        form = self.query_one(OptionsForm)
        form.shows_more = not form.shows_more

    def action_preset(self, name: str) -> None:
        """How to choose among the tokens, in a word."""
        self.query_one(OptionsForm).use_preset(name)
