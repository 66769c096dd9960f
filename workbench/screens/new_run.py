"""The form of a new run: what it takes is computed while one types, and the same call is written below as a line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Input, Label, Select, Static

from kgpt.errors import KgptError
from kgpt.language import N_, _
from kgpt.runs import data_folder
from workbench import wording
from workbench.children import Job
from workbench.launcher import shell_line
from workbench.screens.dialogs import Dialog
from workbench.widgets.bindings import bindings_of
from workbench.widgets.colors import muted

if TYPE_CHECKING:
    from workbench.app import WorkbenchApp

PAUSE_SECONDS = 0.4
"""How long nobody must have typed before the plan is made anew."""

BUILT_IN_DATA = "encyclopedia"
PRESETS_OWN = N_("the preset's")
LIMITS = {
    PRESETS_OWN: "",
    N_("steps"): "--steps",
    N_("minutes"): "--minutes",
    N_("epochs"): "--epochs",
}


class Planned(Message):
    """What the run would take, or why there is no saying."""

    def __init__(
        self, options: list[str], plan: dict[str, Any] | None, error: KgptError | None
    ) -> None:
        super().__init__()
        self.options, self.plan, self.error = options, plan, error


class NewRunScreen(Dialog):
    """Comes back when training has begun."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("form")]
    place = "form"
    AUTO_FOCUS = "#new-name"

    def __init__(self) -> None:
        super().__init__(_("new run"))
        self._timer: Timer | None = None
        self._suggested = ""
        """The name that the form has put there itself; another one is the user's."""

    def compose_body(self) -> ComposeResult:
        """Fields with what `kgpt-train` takes for granted, the plan, the line."""
        from kgpt.presets import PRESETS

        self._suggested = self._free_name("demo")
        presets = [(name, name) for name in PRESETS]
        fields = (
            ("name", Input(self._suggested, compact=True)),
            (
                "data",
                Select(
                    [(n, n) for n in _corpora()],
                    value=BUILT_IN_DATA,
                    allow_blank=False,
                    compact=True,
                ),
            ),
            ("preset", Select(presets, value="demo", allow_blank=False, compact=True)),
            (
                "limit",
                Select(
                    [(_(name), name) for name in LIMITS],
                    value=PRESETS_OWN,
                    allow_blank=False,
                    compact=True,
                ),
            ),
            ("amount", Input(placeholder=_("how many"), type="number", compact=True)),
            ("batch", Input(placeholder=_(PRESETS_OWN), type="integer", compact=True)),
            ("rate", Input(placeholder=_(PRESETS_OWN), type="number", compact=True)),
            ("options", Input(placeholder="--set model.dropout=0.1 --seed 3", compact=True)),
        )
        titles = {
            "name": _("name"),
            "data": _("data"),
            "preset": _("preset"),
            "limit": _("train for"),
            "amount": "",
            "batch": _("batch size"),
            "rate": _("learning rate"),
            "options": _("more options"),
        }
        for name, widget in fields:
            widget.id = f"new-{name}"
            with Horizontal(classes="row", id=f"row-{name}"):
                yield Label(titles[name])
                yield widget
        yield Static(id="new-plan")
        yield Static(id="new-line")
        with Horizontal(classes="buttons"):
            yield Button(_("Train"), id="begin", variant="primary", compact=True)
            yield Button(_("Copy the line"), id="copy", compact=True)

    def on_mount(self) -> None:
        """Plan what the form says at first."""
        self.query_one("#row-amount").display = False
        self._changed()

    @property
    def _app(self) -> WorkbenchApp:
        return cast("WorkbenchApp", self.app)

    # === What is asked for ===

    def options(self) -> list[str]:
        """The options of `kgpt-train`, those left alone left out; all but `--run`.

        Raises:
            ValueError: a quotation mark among the further options is not closed.
        """
        limit = LIMITS[self._choice("limit")]
        amount = self._text("amount")
        given = (
            ("--data", self._choice("data") if self._choice("data") != BUILT_IN_DATA else ""),
            ("--preset", self._choice("preset") if self._choice("preset") != "demo" else ""),
            (limit, amount if limit else ""),
            ("--batch-size", self._text("batch")),
            ("--learning-rate", self._text("rate")),
        )
        pairs = [text for option, value in given if value for text in (option, value)]
        return [*pairs, *shlex.split(self._text("options"))]

    def _choice(self, name: str) -> str:
        return str(self.query_one(f"#new-{name}", Select).value)

    def _text(self, name: str) -> str:
        return self.query_one(f"#new-{name}", Input).value.strip()

    def _free_name(self, stem: str) -> str:
        taken = {run.name for run in self._app.catalog.summaries}
        names = [stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))]
        return next(name for name in names if name not in taken)

    # === While one types ===

    def on_input_changed(self) -> None:
        """Something else is asked for."""
        self._changed()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Something else is asked for; another preset or data suggests another name, where none has been typed."""
        if event.select.id == "new-limit":
            self.query_one("#row-amount").display = bool(LIMITS[str(event.value)])
        if event.select.id in ("new-data", "new-preset"):
            data, preset = self._choice("data"), self._choice("preset")
            stem = preset if data == BUILT_IN_DATA else data.rpartition("/")[2]
            field, typed = self.query_one("#new-name", Input), self._text("name")
            if typed in ("", self._suggested):
                field.value = self._suggested = self._free_name(stem)
        self._changed()

    def _changed(self) -> None:
        try:
            line = shell_line(
                self._app.catalog.root, [*self.options(), "--run", self._text("name")]
            )
        except ValueError as error:
            self._tell(KgptError(_("More options"), f"{error}.", ""))
            return
        self.query_one("#new-line", Static).update(Content.styled(line, "$success"))
        if self._timer:
            self._timer.stop()
        self._timer = self.set_timer(PAUSE_SECONDS, self._plan)

    def _plan(self) -> None:
        try:
            options = self.options()
        except ValueError:
            return
        self.query_one("#new-plan").add_class("stale")
        self.run_worker(self._ask(options), group="plan", exclusive=True, exit_on_error=False)

    async def _ask(self, options: list[str]) -> None:
        job = Job(["plan", *options], command=self._app.kgpt_command)
        try:
            plan = await job.run()
        except KgptError as error:
            self.post_message(Planned(options, None, error))
        else:
            self.post_message(Planned(options, plan, None))

    def on_planned(self, event: Planned) -> None:
        """Show the plan, unless the form has changed since."""
        if event.options != self.options():
            return
        self.query_one("#new-plan").remove_class("stale")
        if event.error:
            self._tell(event.error)
        elif event.plan:
            self.query_one("#new-plan", Static).update(plan_text(event.plan))

    def _tell(self, error: KgptError) -> None:
        parts = [part for part in (error.message, error.hint) if part]
        text = Content.assemble((f"{error.title}\n", "$error"), muted("\n".join(parts)))
        self.query_one("#new-plan", Static).update(text)

    # === Actions ===

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """What the mouse says."""
        self.action_begin() if event.button.id == "begin" else self.action_copy()

    def on_input_submitted(self) -> None:
        """Enter goes to the next field."""
        self.focus_next()

    def action_begin(self) -> None:
        """Start training; what cannot be is told, and the form stays."""
        limit = self._choice("limit")
        if LIMITS[limit] and not self._text("amount"):
            self._tell(KgptError(_("How many {limit}?", limit=_(limit)), "", ""))
            self.query_one("#new-amount").focus()
            return
        try:
            name = self._text("name")
            self._app.launcher.start(name, self.options())
        except KgptError as error:
            self._tell(error)
        except ValueError as error:
            self._tell(KgptError(_("More options"), f"{error}.", ""))
        else:
            self.dismiss(name)

    def action_copy(self) -> None:
        """Copy the same call as a shell line."""
        self._app.copy(str(self.query_one("#new-line", Static).render()), _("the command line"))


def _corpora() -> list[str]:
    """Names of prepared corpora, the built-in one first."""
    try:
        found = sorted(path.parent.name for path in data_folder().glob("*/manifest.json"))
    except OSError:
        found = []
    return [BUILT_IN_DATA, *(name for name in found if name != BUILT_IN_DATA)]


def plan_text(plan: dict[str, Any]) -> Content:
    """What a run takes, in four lines."""
    time, disk = plan["time"], sum(plan["disk"].values())
    fits = (_("fits"), "$success") if plan["fits"] else (_("does not fit"), "bold $error")
    lines = [
        _pair(_("parameters"), wording.whole(plan["parameters"])),
        _pair(
            _("steps"),
            _(
                "{steps} × {tokens} tokens, {total} in all",
                steps=wording.whole(time["steps"]),
                tokens=wording.whole(time["tokens"] / time["steps"]),
                total=wording.short(time["tokens"]),
            ),
        ),
        Content.assemble(
            _pair(
                _("memory"),
                _(
                    "{peak} of {available}",
                    peak=wording.size(plan["peak_memory"]),
                    available=wording.size(plan["available_memory"]),
                )
                + ", ",
            ),
            fits,
        ),
        _pair(
            _("time"),
            _(
                "about {duration}; disk {disk}",
                duration=wording.duration(time["seconds"]),
                disk=wording.size(disk),
            ),
        ),
    ]
    if plan.get("advice"):
        lines.append(Content.styled(str(plan["advice"]), "$warning"))
    return Content("\n").join(lines)


def _pair(label: str, value: str) -> Content:
    return Content.assemble(muted(f"{label:<14}"), value)
