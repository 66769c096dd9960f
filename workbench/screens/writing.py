"""What the Generate screen asks of models: a continuation, an answer, labels, a branch."""

from __future__ import annotations

import random
from dataclasses import replace

from kgpt.errors import KgptError
from kgpt.language import _
from workbench.generations import Generation, Target
from workbench.prompt_history import PromptHistory
from workbench.screens.text_actions import TextActions
from workbench.widgets.options_form import OptionsForm
from workbench.widgets.output import Output
from workbench.widgets.prompt import Kind, Prompt
from workbench.widgets.token_details import TokenDetails


class WritingScreen(TextActions):
    """Asks with the prompt and the options that the user has put in, and knows which text is looked at."""

    _recalled: Generation | None = None
    """A text that was asked for or called back; None for the newest."""
    _is_fresh = False
    """Nothing is looked at: the user begins anew."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = PromptHistory()
        """The walk through the prompts of before."""

    def show_playground(self) -> None:
        """Something has changed: draw it with the next frame."""
        raise NotImplementedError

    @property
    def kind(self) -> Kind:
        """What the chosen run makes of a text."""
        run = self.query_one(OptionsForm).run
        if run is None:
            return "text"
        return "labels" if run.is_classifier else "chat" if run.answers else "text"

    @property
    def shown(self) -> Generation | None:
        """The generation that is looked at: one that was recalled, else what was asked for last."""
        if self._is_fresh:
            return None
        current = self.workbench.playground.current
        is_remembered = current is not None and not current.request_id
        return self._recalled or (None if is_remembered else current)

    def look_at(self, generation: Generation) -> None:
        """Look at a generation, with its prompt ready to be asked again."""
        self._recalled, self._is_fresh = generation, False
        if not generation.messages:
            self.query_one(Prompt).put(generation.prompt)
        self.show_playground()

    def action_generate(self) -> None:
        """Continue the prompt."""
        self._write()

    def action_again(self) -> None:
        """The same prompt with another seed; of a conversation, the last message once more."""
        shown = self.shown
        if self.kind == "chat" and shown is not None and shown.messages:
            self._recalled = self.workbench.playground.get(shown.parent)
            self._is_fresh = self._recalled is None
            self.query_one(Prompt).put(shown.prompt)
        self._write(seed=random.randrange(2**31))

    def _write(self, seed: int | None = None) -> None:
        form, prompt = self.query_one(OptionsForm), self.query_one(Prompt).text
        kind = self.kind
        if kind == "labels":
            self.label()
            return
        if kind == "chat" and not prompt.strip():
            self.notify(_("Write a message first."), timeout=3)
            return
        try:
            options, count = form.options(), form.num_samples()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        if seed is not None:
            options = replace(options, seed=seed)
        target = form.target
        if self._may_write(target) and target is not None:
            form.remember(self.workbench.settings)
            before = self._conversation(target) if kind == "chat" else None
            self.prompts.forget()
            second = form.second_target
            if second and options.seed is None:  # two models are compared on one seed
                options = replace(options, seed=random.randrange(2**31))
            self._recalled = self.workbench.writing.write(
                target, prompt, options, second, count, before, is_answer=kind == "chat"
            )
            self._is_fresh = False
            if kind == "chat":
                self.query_one(Prompt).put("")

    def label(self) -> None:
        """Have a classifier say what it thinks of the text."""
        target, text = self.query_one(OptionsForm).target, self.query_one(Prompt).text
        if self.kind != "labels" or target is None:
            return
        if text.strip():
            self.workbench.writing.label(target, text)
        else:
            self.workbench.labelling.forget()

    def _conversation(self, target: Target) -> Generation | None:
        """The conversation that goes on: the one that is shown, with this run, as far as it was answered."""
        shown = self.shown
        if shown is None or not shown.messages or shown.target.run != target.run:
            return None
        return shown if shown.text else self.workbench.playground.get(shown.parent)

    def action_reset(self) -> None:
        """Begin anew; what was said stays in the history."""
        if not self.workbench.playground.is_busy:
            self._recalled, self._is_fresh = None, True
            self.query_one(Prompt).put("")
            self.query_one(Prompt).focus()
            self.show_playground()

    def _may_write(self, target: Target | None) -> bool:
        if target is None:
            message = _("Train one first: kgpt-train. It appears here by itself.")
            self.notify(
                message, title=_("There is no checkpoint to write with"), severity="warning"
            )
        elif self.workbench.playground.is_busy:
            self.notify(_("esc stops it."), title=_("It is still writing"), severity="warning")
        else:
            return True
        return False

    def on_token_details_taken(self, taken: TokenDetails.Taken) -> None:
        """Go on from a token with another one in its place."""
        try:
            options = self.query_one(OptionsForm).options()
        except KgptError as error:
            self.workbench.show_error(error)
            return
        if taken.generation.messages:
            self.notify(_("An answer has no branches: ask again, with ctrl+r."), timeout=4)
            return
        if self._may_write(taken.generation.target):
            branch = self.workbench.writing.write_branch(
                taken.generation, taken.place, taken.token, options
            )
            self.look_at(branch)
            self.query_one(Output).query_one("#tokens").focus()
