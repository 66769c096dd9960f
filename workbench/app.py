"""The workbench: six screens over one catalog, one follower and one playground.

In: the folder of the runs. Out: the user's evening. Long-lived work belongs to the app, so that it survives a change
of screen; workers only post messages, and every change of a widget happens in a message's handler.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from kgpt.errors import KgptError
from kgpt.language import _
from workbench import settings
from workbench.adjusted import AdjustedApp
from workbench.keys import PLACE_TITLES
from workbench.screens.base import WorkbenchScreen
from workbench.screens.runs import RunsScreen
from workbench.stylesheet import KeptStylesheet
from workbench.widgets.bindings import bindings_of

if TYPE_CHECKING:  # the first frame waits for nothing that it does not show
    from textual.widget import Widget

    from kgpt.protocol import GenerateOptions
    from workbench.attention_study import AttentionStudy, View
    from workbench.catalog import Catalog, RunSummary
    from workbench.corpora import CorpusSummary, Window
    from workbench.crowd import Crowd
    from workbench.exports import Export, ExportOrder
    from workbench.follower import Follower
    from workbench.generations import Generation, Target
    from workbench.labelling import Labelling
    from workbench.launcher import Launcher
    from workbench.palette import Look
    from workbench.playground import Playground
    from workbench.preferences import Preferences
    from workbench.tokenizer_bench import Source, TokenizerBench
    from workbench.tokens import Token
    from workbench.widgets.system_report import Reading

HISTORY_FILE, HISTORY_VERSION = "history.json", 1

SWITCH_SECONDS = 0.0005
"""How long a thread that parses a long file may keep the interpreter from answering a key."""


def _watch() -> Screen[None]:
    from workbench.screens.watch import (
        WatchScreen,
    )  # numpy and the chart: 0.2 s that the first frame does not wait for

    return WatchScreen()


def _generate() -> Screen[None]:
    from workbench.screens.generate import GenerateScreen

    return GenerateScreen()


def _attention() -> Screen[None]:
    from workbench.screens.attention import AttentionScreen

    return AttentionScreen()


def _data() -> Screen[None]:
    from workbench.screens.data import DataScreen

    return DataScreen()


def _system() -> Screen[None]:
    from workbench.screens.system import SystemScreen

    return SystemScreen()


class Changed(Message):
    """Something that is read in the background has changed; one that waits already stands for all of its kind."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def can_replace(self, message: Message) -> bool:
        """The newest says it all."""
        return isinstance(message, Changed) and message.what == self.what


class WorkbenchApp(AdjustedApp):
    """See `workbench.main` for the command line."""

    TITLE = "kgpt"
    CSS_PATH = Path(__file__).with_name("workbench.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("everywhere")]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "runs": RunsScreen,
        "watch": _watch,
        "generate": _generate,
        "attention": _attention,
        "data": _data,
        "system": _system,
    }
    DEFAULT_MODE = "runs"

    def __init__(
        self,
        root: Path,
        *,
        run_name: str | None = None,
        settings_path: Path | None = None,
        state_path: Path | None = None,
        is_read_only: bool = False,
        preferences: Preferences | None = None,
        preferences_path: Path | None = None,
        engine_command: Sequence[str] = (),
        kgpt_command: Sequence[str] = (),
        poll_seconds: float | None = None,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(preferences, preferences_path)
        self.stylesheet = KeptStylesheet(variables=self.get_css_variables())
        self.settings_path = settings_path
        self.settings = settings.load(settings_path) if settings_path else settings.Settings()
        self.is_read_only = is_read_only
        self.clock = clock
        self.root = root
        self.stopwatch = stopwatch
        self._commands = engine_command, kgpt_command
        self.exports: list[Export] = []
        self.overlaid = self.settings.overlaid.split()
        """Runs that are drawn over the one that is watched, in the order in which they were chosen."""
        self.pinned: str | None = self.settings.pinned or None
        self.chosen_run = run_name
        self.chosen_checkpoint: str | None = None
        """What the Generate screen is to turn to."""
        self.has_read = False
        """The folder has been read at least once."""
        self._poll_seconds = poll_seconds or float(self.preferences["refresh"])
        self.corpora: list[CorpusSummary] | None = None
        """What the folder of data held when it was read last; None before that."""
        self.machine: Reading | None = None
        """Load and versions as they were read last."""
        self.state_path = state_path
        """The folder of what is remembered without being asked to."""
        self.last_error: tuple[KgptError, str] | None = None
        """What failed last, with the end of the engine's log."""
        self._saves: asyncio.Lock = asyncio.Lock()
        self._is_reading = False
        self._has_all_styles = self._has_history = False
        self._look_again = asyncio.Event()
        self._live_before: set[str] = set()
        self._warming: Target | None = None
        self._first_mode = "watch" if run_name else "runs"

    # === What it works with, made when it is first needed ===

    @cached_property
    def kgpt_command(self) -> Sequence[str]:
        """What runs kgpt's commands."""
        from workbench.children import COMMAND

        return self._commands[1] or COMMAND

    @cached_property
    def launcher(self) -> Launcher:
        """Starts and stops trainers."""
        from workbench.launcher import Launcher

        return Launcher(self.root, self.kgpt_command)

    @cached_property
    def catalog(self) -> Catalog:
        """The runs."""
        from workbench.catalog import Catalog

        return Catalog(self.root, self.clock, lambda: self.launcher.starting)

    @cached_property
    def follower(self) -> Follower:
        """Reads the run that is watched."""
        from workbench.follower import Follower

        return Follower(partial(self._tell, "recording"), self._poll_seconds, self._tell_damage)

    @cached_property
    def crowd(self) -> Crowd:
        """Reads the runs beside it."""
        from workbench.crowd import Crowd

        return Crowd(partial(self._tell, "recording"), self._poll_seconds, self._tell_damage)

    @cached_property
    def playground(self) -> Playground:
        """Writes with models."""
        from workbench.engine import COMMAND, Engine
        from workbench.playground import Playground

        engine = Engine(self._commands[0] or COMMAND, self.engine_environment)
        return Playground(engine, partial(self._tell, "playground"), self.stopwatch)

    @cached_property
    def attention(self) -> AttentionStudy:
        """Looks into models."""
        from workbench.attention_study import AttentionStudy

        return AttentionStudy(self.playground, partial(self._tell, "attention"))

    @cached_property
    def labelling(self) -> Labelling:
        """Asks classifiers."""
        from workbench.labelling import Labelling

        return Labelling(self.playground, partial(self._tell, "playground"))

    @cached_property
    def bench(self) -> TokenizerBench:
        """Cuts texts."""
        from workbench.tokenizer_bench import TokenizerBench

        return TokenizerBench(self.playground, partial(self._tell, "tokenizers"))

    @cached_property
    def data_folder(self) -> Path:
        """The folder of the corpora."""
        from kgpt.runs import data_folder

        return data_folder()

    # === Life ===

    def on_load(self) -> None:
        """The colours, before any style is read: what is styled twice takes twice as long to show."""
        self.set_out(self.settings.theme)

    def on_mount(self) -> None:
        """The work in the background."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.theme_changed_signal.subscribe(self, lambda _: self._restyle())
        if self._first_mode != "runs":
            self.complete_styles()
            self.switch_mode(self._first_mode)

    def on_ready(self) -> None:
        """From now on the screen is drawn; the rest waits until it has been."""
        self._screen_stacks["runs"][0].call_after_refresh(self._begin_work)

    async def _begin_work(self) -> None:
        self.say_problems()
        self._recall_history()
        self._work(self._follow_catalog, "catalog")
        self._work(self.follower.run, "follower")
        runs_screen = self._screen_stacks["runs"][0]
        if isinstance(runs_screen, RunsScreen):
            await runs_screen.furnish()

    def adjust_work(self) -> None:
        """Another pace; the engine begins anew with its next request, on the device that was chosen."""
        self._poll_seconds = float(self.preferences["refresh"])
        self.follower.poll_seconds = self.crowd.poll_seconds = self._poll_seconds
        engine = self.playground.engine
        if engine.environment != self.engine_environment:
            engine.environment = self.engine_environment
            self._work(engine.kill, "engine")

    def complete_styles(self) -> None:
        """Read the styles of the other screens."""
        if not self._has_all_styles:
            self._has_all_styles = True
            self.stylesheet.read(Path(__file__).with_name("screens.tcss"))
            self.stylesheet.parse()
            self.stylesheet.update(self)

    async def on_unmount(self) -> None:
        """Engine and exports go with the workbench, trainers stay; what was set and written is kept."""
        await asyncio.gather(*(item.job.cancel() for item in self.exports_at_work))
        await self.crowd.close()
        await self.playground.engine.close()
        for item in self.playground.history:
            if item.is_active:  # its engine is gone
                item.state = "stopped"
        self._save_history()
        self._write_title("")
        if self.settings_path and not self.is_read_only:
            self.settings.theme = self.theme
            self.settings.overlaid = " ".join(self.overlaid)
            self.settings.pinned = self.pinned or ""
            try:
                settings.save(self.settings_path, self.settings)
            except (OSError, KgptError) as error:
                self.log.error(error)

    # === The history ===

    def _recall_history(self) -> None:
        self._has_history = True
        if self.state_path is None:
            return
        from workbench import generations, state

        try:
            kept = state.load_state(self.state_path / HISTORY_FILE, HISTORY_VERSION)
        except KgptError as error:
            self.show_error(error)
        else:
            self.playground.history = generations.of_state(kept)

    def _save_history(self) -> None:
        if self.state_path is None or self.is_read_only or not self._has_history:
            return
        from workbench import generations, state

        values = generations.as_state(self.playground.history)
        try:
            state.save_state(self.state_path / HISTORY_FILE, HISTORY_VERSION, values)
        except (OSError, KgptError) as error:
            self._tell_damage(error)

    async def _keep_history(self) -> None:
        async with self._saves:  # one after another: the newest is written last
            await asyncio.to_thread(self._save_history)

    def _work(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Run in the background, for as long as the app lives; errors are the work's own to tell."""
        self.run_worker(work, group=group, exit_on_error=False)

    async def _follow_catalog(self) -> None:
        while True:
            try:
                self._tell_failures()
                changed = await asyncio.to_thread(self.catalog.refresh)
            except Exception as error:  # whatever lies in the folder, the workbench stays
                self._tell_damage(error)
                changed = False
            self._tell_endings()
            if changed or not self.has_read:
                self.has_read = True
                self._tell("catalog")
            pause = self._poll_seconds if self.catalog.is_complete else 0.02
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look_again.wait(), pause)
            self._look_again.clear()

    def _tell_failures(self) -> None:
        """Say which trainers gave up before they began, and why."""
        for name, error in self.launcher.poll():
            title = f"{name}: {error.title}"
            self.show_error(type(error)(title, error.message, error.hint))

    def _tell_endings(self) -> None:
        """Ring and say so when a run has ended that was at work when last seen."""
        live = {run.name for run in self.catalog.summaries if run.is_live}
        for run in self.catalog.summaries:
            if run.name in self._live_before and run.name not in live:
                from workbench import wording

                look = wording.look(run.state)
                severity = "information" if run.state in ("finished", "stopped") else "error"
                text = wording.situation(run, self.clock())
                self.bell()
                self.notify(text, title=f"{look.dot} {run.name}", severity=severity, markup=False)  # type: ignore[arg-type]
                self._write_title(f"{look.dot} {run.name} {look.word}")
        self._live_before = live

    def _write_title(self, text: str) -> None:
        """Put a text into the title of the terminal's window."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(f"\033]2;{text or self.TITLE}\007")

    def look_again(self) -> None:
        """Read the folder of the runs now: something has been done to it."""
        self._look_again.set()

    def _tell(self, what: str) -> None:
        self.post_message(Changed(what))

    def _tell_damage(self, error: Exception) -> None:
        self.log.error(error)

    def on_changed(self, event: Changed) -> None:
        """Hand the news to the screen that shows it."""
        show = {
            "catalog": "show_runs",
            "recording": "show_recording",
            "playground": "show_playground",
            "attention": "show_attention",
            "corpora": "show_corpora",
            "tokenizers": "show_tokenizers",
            "machine": "show_machine",
        }[event.what]
        for screen in self.screen_stack:
            if isinstance(screen, WorkbenchScreen) and hasattr(screen, show) and screen.is_mounted:
                getattr(screen, show)()

    def _restyle(self) -> None:
        from workbench.widgets.run_table import RunTable

        for stack in self._screen_stacks.values():
            for screen in stack:
                for table in screen.query(RunTable):
                    table.restyle()
        self._tell("catalog")

    # === What the screens ask for ===

    def default_run(self) -> RunSummary | None:
        """The run to watch when none was chosen: a live one, else the newest."""
        readable = [run for run in self.catalog.summaries if not run.problem]
        return max(readable, key=lambda run: (run.is_live, run.updated), default=None)

    def open_run(self, mode: str, name: str) -> None:
        """Show a run on another screen."""
        self.chosen_run = name
        self.action_show(mode)

    def run_looks(self, names: Iterable[str]) -> dict[str, Look]:
        """How runs that are drawn together look on this theme."""
        from workbench.palette import looks

        return looks(names, self.current_theme.dark)

    def overlay(self, name: str) -> None:
        """Draw a run over the one that is watched, or no longer."""
        if name in self.overlaid:
            self.overlaid.remove(name)
        else:
            self.overlaid.append(name)
        self._tell("catalog")

    def pin(self, name: str) -> None:
        """Compare the others with a run, or with none."""
        self.pinned = None if self.pinned == name else name
        self._tell("catalog")

    def forget_run(self, name: str, new_name: str | None = None) -> None:
        """A run has another name now, or is gone."""
        new = [new_name] if new_name else []
        self.overlaid = [n for old in self.overlaid for n in (new if old == name else [old])]
        self.pinned = new_name if self.pinned == name else self.pinned
        self.chosen_run = new_name if self.chosen_run == name else self.chosen_run

    def delete_run(self, name: str) -> None:
        """Delete a run in the background."""
        from kgpt.runs import RunFolder
        from workbench import housekeeping

        async def work() -> None:
            try:
                folder = RunFolder(self.catalog.root / name)
                await asyncio.to_thread(housekeeping.delete, folder)
            except KgptError as error:
                self.show_error(error)
            else:
                self.forget_run(name)
                self.notify(_("{name} is gone.", name=name), title=_("Deleted"), markup=False)
            self.look_again()

        self._work(work, "delete")

    @property
    def exports_at_work(self) -> list[Export]:
        """Exports that would be lost now."""
        return [item for item in self.exports if item.state == "running"]

    def begin_export(self, order: ExportOrder) -> Export:
        """Export a run in a child process; it goes on when its dialog is closed."""
        from workbench.children import Job
        from workbench.exports import Export

        export = Export(order, Job(order.arguments(), command=self.kgpt_command))
        self.exports.append(export)

        async def work() -> None:
            await export.work()
            if export.state == "done":
                self.notify(f"{export.result.get('output')}", title=_("Exported"), markup=False)
            elif export.error and export.state == "failed":
                self.show_error(export.error)

        self._work(work, "export")
        return export

    def stop_export(self, export: Export) -> None:
        """Stop an export; what was half written is removed."""
        self._work(export.job.cancel, "stop-export")

    def warm_up(self, target: Target) -> None:
        """Have the engine load a model ahead of its first use; what failed once waits for the user to ask."""
        playground = self.playground
        if not (target == self._warming or playground.is_busy or playground.is_loaded(target)):
            self._warming = target
            self._work(partial(self._warm_up, target), "warm-up")

    async def _warm_up(self, target: Target) -> None:
        try:
            await self.playground.warm_up(target)
        except KgptError as error:
            self.show_error(error)
        self._tell("playground")

    def write(
        self,
        target: Target,
        prompt: str,
        options: GenerateOptions,
        second: Target | None = None,
        count: int = 1,
        before: Generation | None = None,
        is_answer: bool = False,
    ) -> Generation:
        """Start `count` generations, each with the next seed, by one model or by two side by side.

        With `is_answer`, the prompt is a message, the next of the conversation `before`.
        """
        conversation: Any = {"before": before, "is_answer": is_answer}
        asked: list[Generation] = []
        for number in range(count):
            seed = None if options.seed is None else options.seed + number
            own = replace(options, seed=seed)
            asked.append(self.playground.ask(target, prompt, own, **conversation))
            if second:
                partner = asked[-1]
                asked.append(
                    self.playground.ask(second, prompt, own, partner=partner, **conversation)
                )
        self._carry_out(asked)
        return asked[0]

    def write_branch(
        self, parent: Generation, place: int, token: Token, options: GenerateOptions
    ) -> Generation:
        """Start a generation that takes another token of an earlier one."""
        branch = self.playground.ask_branch(parent, place, token, options)
        self._carry_out([branch])
        return branch

    def _carry_out(self, asked: Sequence[Generation]) -> None:
        async def work() -> None:
            for generation in asked:
                await self.playground.run(generation)
                if generation.error:
                    self.show_error(generation.error)
                await self._keep_history()

        self._work(work, "generation")

    def label(self, target: Target, text: str) -> None:
        """Have a text labelled by a classifier."""
        self._work(partial(self.labelling.ask, target, text), "labels")

    def look(self, view: View) -> None:
        """Have the text of the attention study read."""
        self._work(partial(self._study, self.attention.look, view), "attention")

    def ablate(self, place: int) -> None:
        """Have each word before a token left out in turn."""
        self._work(partial(self._study, self.attention.ablate, place), "attention")

    async def _study(self, work: Callable[[Any], Awaitable[None]], what: object) -> None:
        before = self.attention.error
        await work(what)
        if self.attention.error and self.attention.error is not before:
            self.show_error(self.attention.error)

    def read_corpora(self) -> None:
        """Read the folder of data, in the background."""
        self._work(self._read_corpora, "corpora")

    async def _read_corpora(self) -> None:
        from workbench.corpora import read_corpora

        found = await asyncio.to_thread(read_corpora, self.data_folder)
        if found != self.corpora:
            self.corpora = found
            self._tell("corpora")

    def cut(self, text: str, sources: list[Source | None]) -> None:
        """Have a text cut by two tokenizers."""
        self._work(partial(self.bench.cut, text, sources), "tokenize")

    def show_window(self, corpus: CorpusSummary, find: Callable[[], Window]) -> None:
        """Have a place of a corpus read and decoded."""

        async def work() -> None:
            try:
                window = await asyncio.to_thread(find)
            except KgptError as error:
                self.bench.fail(error)
            else:
                await self.bench.show(corpus, window)

        self._work(work, "window")

    def read_machine(self) -> None:
        """Read load, disks and versions, in the background."""
        self._work(self._read_machine, "machine")

    async def _read_machine(self) -> None:
        if not self._is_reading:  # nvidia-smi may take longer than the time between two calls
            self._is_reading = True
            try:
                self.machine = await asyncio.to_thread(self._reading)
            finally:
                self._is_reading = False
            self._tell("machine")

    def _reading(self) -> Reading:
        from workbench import machine
        from workbench.widgets.system_report import Reading

        return Reading(
            machine.load(),
            machine.disks((self.catalog.root, self.data_folder)),
            machine.processor(),
            machine.system(),
            machine.versions(),
            machine.environment(),
        )

    def stop_writing(self) -> None:
        """Stop the generation under way."""
        self._work(self.playground.stop, "stop")

    def show_error(self, error: KgptError) -> None:
        """A toast with what happened and what to do; `E` shows all of it."""
        self.last_error = error, self.playground.engine.log_tail(20)
        text = "\n".join(line for line in (error.message, error.hint) if line)
        self.notify(text, title=error.title, severity="error", timeout=12, markup=False)

    def copy(self, text: str, what: str) -> None:
        """Copy through the terminal (OSC 52), which works over SSH too."""
        self.copy_to_clipboard(text)
        self.notify(_("Copied {what}.", what=what), timeout=3, markup=False)

    def copy_run_path(self, name: str | None) -> None:
        """Copy the path of a run."""
        run = self.catalog.get(name or "")
        if run:
            self.copy(str(run.path.resolve()), str(run.path))

    # === Actions ===

    def action_show(self, mode: str) -> None:
        """Bring a screen to the front."""
        if len(self.screen_stack) == 1 and mode != self.current_mode:
            self.complete_styles()
            self.switch_mode(mode)

    async def action_quit(self) -> None:
        """Leave; ask first where an export would be lost. Trainers go on without the workbench."""
        from workbench.screens.dialogs import ConfirmScreen

        at_work = self.exports_at_work
        if not at_work or isinstance(self.screen, ConfirmScreen):
            self.exit()
            return
        names = ", ".join(str(item.order.output) for item in at_work)
        text = _("The export to {names} is not done and would be stopped.", names=names)
        self.push_screen(
            ConfirmScreen(_("leave?"), text), lambda answer: self.exit() if answer else None
        )

    async def action_back(self) -> None:
        """One step back, in the end to the runs; it never leaves."""
        screen = self.screen
        if isinstance(screen, WorkbenchScreen) and not screen.go_back():
            self.action_show("runs")

    def action_help(self) -> None:
        """Show the help for this screen."""
        from workbench.screens.help import HelpScreen

        if isinstance(self.screen, WorkbenchScreen):
            within = getattr(self.focused, "place", None)
            places = [within] if within in PLACE_TITLES else []
            self.push_screen(HelpScreen(*places, self.screen.place))

    def action_error_details(self) -> None:
        """Show the last error in full."""
        from workbench.screens.error import ErrorScreen

        if self.last_error is None:
            self.notify(_("Nothing has failed."), timeout=3)
        elif isinstance(self.screen, WorkbenchScreen):
            self.push_screen(ErrorScreen(*self.last_error))

    def action_next_theme(self) -> None:
        """The next theme."""
        names = sorted(self.available_themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(self.theme, title=_("Theme"), timeout=2)

    def action_themes(self) -> None:
        """Choose a theme."""
        from workbench.screens.themes import ThemesScreen

        self.push_screen(ThemesScreen())

    def action_settings(self) -> None:
        """Change the settings."""
        from workbench.screens.settings import SettingsScreen

        if self.is_read_only:
            self.notify(_("The workbench was opened with --read-only."), severity="warning")
        elif isinstance(self.screen, WorkbenchScreen):
            self.push_screen(SettingsScreen())

    def action_jump(self) -> None:
        """Put a letter on every place to go to."""
        from workbench.screens.jump import JumpScreen

        if self.screen.focus_chain and not isinstance(self.screen, JumpScreen):
            self.push_screen(JumpScreen(self.screen.focus_chain), self._jump_to)

    def _jump_to(self, widget: Widget | None) -> None:
        if widget is not None:
            widget.focus()

    def load_checkpoint(self, name: str, checkpoint: str) -> None:
        """Show the Generate screen with one checkpoint of a run chosen."""
        self.chosen_run, self.chosen_checkpoint = name, checkpoint
        self.action_show("generate")

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The command palette: every action of the table, every run and checkpoint, and what Textual brings."""
        from workbench.commands import commands

        for command in super().get_system_commands(screen):
            is_writing = self.is_read_only and command.title == "Screenshot"
            if not is_writing and command.title != "Theme":  # T shows them as one chooses
                yield SystemCommand(_(command.title), _(command.help), command.callback)
        yield from commands(self, screen)
