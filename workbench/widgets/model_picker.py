"""Two menus: which run, and which of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Label, Select

from kgpt.language import N_, _
from workbench import wording
from workbench.generations import Target
from workbench.run_summary import RunSummary


class ModelPicker(Vertical):
    """The runs that can write, newest first. The ids of a second picker end with `-2`."""

    def __init__(
        self, ending: str = "", labels: tuple[str, str] = (N_("run"), N_("checkpoint"))
    ) -> None:
        super().__init__(id=f"model{ending}", classes="model")
        self._ending, self._labels = ending, labels
        self._runs: tuple[RunSummary, ...] = ()

    def compose(self) -> ComposeResult:
        """A line for each choice."""
        for name, label in zip(("run", "checkpoint"), self._labels, strict=True):
            menu = Select[str]([], prompt=_("none yet"), compact=True, id=name + self._ending)
            yield Horizontal(Label(_(label)), menu, classes="row")

    @property
    def _menus(self) -> tuple[Select[str], Select[str]]:
        ending = self._ending
        return self.query_one(f"#run{ending}", Select), self.query_one(
            f"#checkpoint{ending}", Select
        )

    def show_runs(self, runs: Sequence[RunSummary]) -> None:
        """Offer the runs that can write; the choice stays where it can."""
        newest_first = sorted(runs, key=lambda run: run.created, reverse=True)
        writers = tuple(run for run in newest_first if run.checkpoints and not run.problem)
        if _menu(writers) != _menu(self._runs):
            self._runs = writers
            fill_menu(self._menus[0], [(run.name, run.name) for run in writers])
            self._show_checkpoints()

    def choose_run(self, name: str) -> None:
        """Choose a run, if it can write."""
        if name in [run.name for run in self._runs]:
            self._menus[0].value = name
            self._show_checkpoints()

    def choose(self, target: Target) -> None:
        """Choose a model, as far as it is still there."""
        run = next((run for run in self._runs if run.path.resolve() == target.run.resolve()), None)
        if run:
            self.choose_run(run.name)
            self.choose_checkpoint(target.checkpoint)

    def choose_checkpoint(self, checkpoint: str) -> None:
        """Choose `best`, `last` or a step of the chosen run, if it is there."""
        run = self.run
        if run and checkpoint in [value for _, value in _checkpoint_options(run)]:
            self._menus[1].value = checkpoint

    def choose_other(self, than: Target) -> None:
        """Choose another checkpoint than this model's if the choice is the same: of its run, else of another one."""
        run, target = self.run, self.target
        if run is None or target is None or (target.run, target.step) != (than.run, than.step):
            return
        steps = [item.step for item in run.checkpoints if item.step != than.step]
        others = [each.name for each in self._runs if each.path != than.run]
        if steps:
            self._menus[1].value = str(steps[-1])
        elif others:
            self.choose_run(others[0])

    def on_select_changed(self, event: Select.Changed) -> None:
        """Another run has other checkpoints."""
        if event.select is self._menus[0]:
            self._show_checkpoints()

    @property
    def run(self) -> RunSummary | None:
        """The chosen run."""
        name = self._menus[0].value
        return next((run for run in self._runs if run.name == name), None)

    @property
    def target(self) -> Target | None:
        """The chosen model."""
        run, checkpoint = self.run, self._menus[1].value
        if run is None or not isinstance(checkpoint, str):
            return None
        steps = {"best": [c.step for c in run.checkpoints if c.is_best]}
        steps["last"] = [c.step for c in run.checkpoints if c.is_last]
        found = steps.get(checkpoint, [int(checkpoint)] if checkpoint.isdigit() else [])
        return Target(run.path, checkpoint, found[0] if found else run.checkpoints[-1].step)

    def _show_checkpoints(self) -> None:
        run = self.run
        fill_menu(self._menus[1], _checkpoint_options(run) if run else [])


def _checkpoint_options(run: RunSummary) -> list[tuple[str, str]]:
    options: list[tuple[str, str]] = []
    for item in reversed(run.checkpoints):
        step, loss = wording.whole(item.step), wording.decimal(item.validation_loss, 2)
        if item.is_best:
            options.insert(0, (_("best ({step})", step=step), "best"))
        if item.is_last:
            options.append((_("last ({step})", step=step), "last"))
        options.append((f"{step} · {loss}", str(item.step)))
    return options


def _menu(runs: Sequence[RunSummary]) -> list[tuple[object, ...]]:
    return [(run.name, run.checkpoints) for run in runs]


def fill_menu(select: Select[str], options: list[tuple[str, str]]) -> None:
    """Put options into a menu; the choice stays if it is still there, else it is the first."""
    before = select.value
    with select.prevent(Select.Changed):
        select.set_options(options)
        values = [value for _, value in options]
        if values:
            select.value = before if before in values else values[0]
