"""Screen 3: a prompt, a model, and what it makes of it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, OptionList, Select, TextArea

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from workbench.playground import Generation
from workbench.screens.base import WorkbenchScreen
from workbench.widgets.bindings import bindings_of
from workbench.widgets.history import History
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.output import Output

PLACEHOLDER = "Write how it begins; ctrl+g lets the model go on."
FRAME_SECONDS = 1 / 20
"""Tokens that come faster than this are drawn together."""


class GenerateScreen(WorkbenchScreen):
    """Prompt and output on the left, options and history on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("generate")]
    AUTO_FOCUS = "#prompt"
    place = "generate"

    def compose_body(self) -> ComposeResult:
        """Two columns."""
        with Horizontal(id="generate-body"):
            with Vertical(id="writing"):
                prompt = TextArea(
                    soft_wrap=True,
                    show_line_numbers=False,
                    id="prompt",
                    compact=True,
                    placeholder=PLACEHOLDER,
                )
                prompt.border_title = "prompt"
                prompt.cursor_blink = False
                yield prompt
                yield Output()
            with Vertical(id="side"):
                yield OptionsForm(self.workbench.settings)
                yield History()

    def on_mount(self) -> None:
        """Titles, and the clock that redraws while something is under way."""
        self._shown: Generation | None = None
        self._is_due = True
        self._run_shown: str | None = None
        self.query_one(Output).border_title = "text"
        self.query_one("#form").border_title = "model"
        self.set_interval(FRAME_SECONDS, self._draw_if_due)

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
        if self.is_current:
            self._warm_up()
        self.show_playground()

    def _warm_up(self) -> None:
        target = self.query_one(OptionsForm).target
        if target is not None:
            self.workbench.warm_up(target)

    def show_playground(self) -> None:
        """Something has changed: draw it with the next frame."""
        self._is_due = True

    def _draw_if_due(self) -> None:
        playground = self.workbench.playground
        if not self.is_current or not (self._is_due or playground.is_busy or playground.stage):
            return
        self._is_due = False
        self.query_one(Output).show(self._shown or playground.current, playground)
        self.query_one(History).show(playground.history)
        self.query_one(OptionsForm).set_busy(playground.is_busy)

    # === Events ===

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another model: load it while the user is still writing."""
        form = self.query_one(OptionsForm)
        if event.select.id == "run" and form.run:
            self.workbench.chosen_run = self._run_shown = form.run.name
        self._warm_up()
        self.show_playground()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """The one button does and undoes."""
        self.workbench.stop_writing() if self.workbench.playground.is_busy else self.action_generate()

    def on_input_submitted(self) -> None:
        """Enter in a field writes."""
        self.action_generate()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Show a generation of before, and take its prompt."""
        self._recall(int(event.option.id or 0))

    # === Actions ===

    def action_generate(self) -> None:
        """Continue the prompt."""
        try:
            options = self.query_one(OptionsForm).options()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        self._write(options)

    def _write(self, options: GenerateOptions) -> None:
        app, form = self.workbench, self.query_one(OptionsForm)
        target, prompt = form.target, self.query_one("#prompt", TextArea).text
        if target is None:
            message = "Train one first: kgpt-train. It appears here by itself."
            self.notify(message, title="There is no checkpoint to write with", severity="warning")
        elif app.playground.is_busy:
            self.notify("esc stops it.", title="It is still writing", severity="warning")
        else:
            form.remember(app.settings)
            self._shown = None
            app.write(target, prompt, options)

    def action_again(self) -> None:
        """The same prompt with another seed, which the form then shows."""
        try:
            options = self.query_one(OptionsForm).options()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        if not self.workbench.playground.is_busy:
            seed = random.randrange(2**31)
            self._write(replace(options, seed=seed))

    def action_stop(self) -> None:
        """Stop writing; when nothing is written, one step back."""
        prompt = self.query_one("#prompt", TextArea)
        if self.workbench.playground.is_busy:
            self.workbench.stop_writing()
        elif self.focused is not None and (prompt.has_focus or self.focused.id != "history"):
            self.query_one(History).focus()
        else:
            self.workbench.action_show("runs")

    def action_extend(self) -> None:
        """Take the text into the prompt, to go on from there."""
        generation = self._shown or self.workbench.playground.current
        if generation and not generation.is_active:
            prompt = self.query_one("#prompt", TextArea)
            prompt.text = generation.prompt + generation.text
            prompt.move_cursor(prompt.document.end)
            prompt.focus()

    def action_edit(self) -> None:
        """Back to the prompt."""
        self.query_one("#prompt", TextArea).focus()

    def action_copy(self) -> None:
        """Copy what was written."""
        generation = self._shown or self.workbench.playground.current
        if generation:
            self.workbench.copy(generation.prompt + generation.text, "the text")

    def action_recall(self, direction: int) -> None:
        """The generation before or after the one that is shown."""
        history = self.workbench.playground.history
        if history:
            shown = self._shown or history[-1]
            place = history.index(shown) + direction
            self._recall(max(0, min(place, len(history) - 1)))

    def _recall(self, number: int) -> None:
        history = self.workbench.playground.history
        if 0 <= number < len(history):
            self._shown = history[number]
            self.query_one("#prompt", TextArea).text = self._shown.prompt
            self.show_playground()
