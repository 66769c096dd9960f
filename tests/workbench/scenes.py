"""Scenes of the workbench over fixture runs, the same on every machine: for the snapshots and the pictures.

A scene is an app and a way to bring it to a state in which nothing moves any more: the clocks stand still, no cursor
blinks, nothing is animated, and the folder of the runs is always called `saved_models`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Awaitable, Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import fixture_runs
from fixture_corpora import a_corpus
from textual.app import App
from textual.css.query import NoMatches
from textual.pilot import Pilot
from textual.widgets import Input, Static

from workbench import wording
from workbench.app import WorkbenchApp
from workbench.attention_study import Ablated, Matrix, View, Words
from workbench.corpora import Window
from workbench.generations import Generation, Target
from workbench.machine import Disk, Gpu, Load, Reading
from workbench.services.data import DataService
from workbench.services.machine import MachineService
from workbench.services.studies import StudiesService
from workbench.services.writing import WritingService
from workbench.tokenizer_bench import Cut, Source
from workbench.tokens import Alternative, Token

Prepare = Callable[[Pilot[Any]], Awaitable[None]]
PROMPT = "Marte é um planeta"
TEXT = (
    " rochoso do Sistema Solar, o quarto a partir do Sol. A sua cor avermelhada vem do óxido de ferro que cobre o"
    " solo. Tem duas luas, Fobos e Deimos, e um ano marciano dura 687 dias terrestres."
)


class StillWriting(WritingService):
    """Loads nothing: what the engine would have written is put there."""

    def warm_up(self, target: Target) -> None:
        """Nothing."""


class StillStudies(StudiesService):
    """Reads nothing: what the engine would answer is there."""

    def look(self, view: View) -> None:
        """Nothing."""


class StillData(DataService):
    """Always the same tokens and the same place."""

    def cut(self, text: str, sources: list[Any]) -> None:
        """The same words from both tokenizers, the last of them cut finer by the second."""
        parts = [" A", " cachorra", " viu", " o", " menino"]
        finer = [*parts[:-1], " men", "ino"]
        for place, tokens in enumerate((parts, finer)):
            contents = tuple(part.encode() for part in tokens)
            ids = tuple(range(300, 300 + len(tokens)))
            self._bench.cuts[place] = Cut(Source("data", Path(str(place))), text, ids, contents)
        self._host.tell("tokenizers")

    def show_window(self, corpus: Any, find: Any) -> None:
        """Always the same place."""
        self._bench.window = Window(corpus.path, "train", "train-00000.bin", 1234, (1, 2))
        self._bench.documents = [TEXT, " A Lua é o satélite natural da Terra."]
        self._host.tell("tokenizers")


class StillMachine(MachineService):
    """Always the same machine."""

    def read(self) -> None:
        """A machine with a GPU; its curves have one point, however often it is asked."""
        if self.reading is not None:
            return
        gpu = Gpu(0, "NVIDIA H100 80GB HBM3", 0.37, 20e9, 85.5e9, 45, "550.54")
        load = Load(0.62, 16, 12_400_000_000, 137_000_000_000, (gpu,))
        disks = (Disk((Path("saved_models"), Path("data")), 41_000_000_000, 270_600_000_000),)
        versions = {"python": "3.12.0", "kgpt": "0.1.0", "keras": "3.15.1", "textual": "8.2.8"}
        self.reading = Reading(
            load, disks, "A processor", "Linux x86_64", versions, {"TERM": "xterm"}
        )
        self._host.tell("machine")


class StillEngineApp(WorkbenchApp):
    """Never starts an engine, never looks at the machine."""

    writing = cached_property(lambda app: StillWriting(app, app.playground, app.labelling, None))
    studies = cached_property(lambda app: StillStudies(app, app.attention))
    data = cached_property(lambda app: StillData(app, app.bench, lambda: app.data_folder))
    machine = cached_property(lambda app: StillMachine(app, tuple))


def make_app(
    folder: Path, make_runs: Callable[[Path], object] = fixture_runs.a_zoo, **options: Any
) -> WorkbenchApp:
    """An app whose folder of runs is `saved_models`, relative to `folder`."""
    root = folder / "saved_models"
    root.mkdir()
    make_runs(root)
    os.chdir(folder)
    if make_runs is fixture_runs.a_zoo:
        a_corpus(folder / "data", "encyclopedia")
        a_corpus(folder / "data", "machado")
    app = StillEngineApp(
        Path("saved_models"),
        clock=lambda: fixture_runs.NOW,
        stopwatch=lambda: 0.0,
        poll_seconds=0.3,
        **options,
    )
    app.data_folder = Path("data")
    return app


async def settle(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait until something holds, then until the screen has stayed the same for a while."""
    for _ in range(600):
        with contextlib.suppress(NoMatches):
            if holds():
                break
        await pilot.pause(0.02)
    before, same = "", 0
    for _ in range(100):
        await pilot.pause(0.03)
        now = pilot.app.export_screenshot()
        same = same + 1 if now == before else 0
        before = now
        if same == 4:
            break


def still_cursors(app: App[Any]) -> None:
    """No cursor blinks."""
    for field in app.screen.query(Input):
        field.cursor_blink = False


async def runs_scene(pilot: Pilot[Any]) -> None:
    """All runs, the cursor on the second."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.runs.has_read)
    if app.catalog.summaries:
        await pilot.press("j")
    await settle(pilot, lambda: True)


async def compare_scene(pilot: Pilot[Any]) -> None:
    """A run beside a pinned one, both marked, the list filtered."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.comparison.overlaid, app.comparison.pinned = ["machado", "encyclopedia"], "machado"
    await settle(pilot, lambda: app.runs.has_read)
    await pilot.press("slash", *"age<1d -damaged", "enter", "end")
    await settle(pilot, lambda: True)


PLAN = {
    "parameters": 1_377_024,
    "peak_memory": 1_190_000_000,
    "available_memory": 8_000_000_000,
    "fits": True,
    "time": {"steps": 1000, "tokens": 2_048_000, "seconds": 168.0},
    "disk": {"checkpoints": 60_900_000},
}


async def new_run_scene(pilot: Pilot[Any]) -> None:
    """The form of a new run, planned."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.kgpt_command = (sys.executable, "-c", f"import json; print(json.dumps({PLAN!r}))")
    await runs_scene(pilot)
    await pilot.press("n")
    still_cursors(app)
    await settle(
        pilot,
        lambda: (
            app.screen.query("#new-plan")
            and wording.whole(1_377_024) in str(app.screen.query_one("#new-plan", Static).render())
        ),
    )


async def delete_scene(pilot: Pilot[Any]) -> None:
    """A run is about to be deleted."""
    await runs_scene(pilot)
    await pilot.press("d", *"mach", "enter")
    still_cursors(pilot.app)
    await settle(pilot, lambda: True)


async def watch_scene(pilot: Pilot[Any]) -> None:
    """The run of the command line, or the liveliest."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.runs.has_read)
    if app.current_mode != "watch":
        await pilot.press("2")
    await settle(
        pilot, lambda: app.follower.data is not None and app.follower.recording is not None
    )


async def overlaid_scene(pilot: Pilot[Any]) -> None:
    """Three runs on one chart, with the crosshair on it."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.comparison.overlaid = ["machado", "tinyshakespeare"]
    await settle(pilot, lambda: app.runs.has_read and app.screen.query_one("DataTable"))
    app.chosen_run = "encyclopedia"
    await watch_scene(pilot)
    await settle(pilot, lambda: len(app.crowd.data) == 2)
    await pilot.press(*"hhhhhhhhhhhhhhhhhhhh", "v")
    await settle(pilot, lambda: True)


async def generate_scene(pilot: Pilot[Any]) -> None:
    """A text written just now, and one that was stopped before it."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.runs.has_read)
    stopped = _written(app, "A capital da França é", " Paris, nas margens do", "stopped")
    app.playground.history.append(stopped)
    app.playground.history.append(_written(app, PROMPT, TEXT, "done"))
    await pilot.press("3")
    await settle(pilot, lambda: bool(app.screen.query("#prompt")))
    app.screen.query_one("#seed", Input).value = "1"
    app.screen.query_one("#prompt").text = PROMPT  # type: ignore[attr-defined]
    app.tell("playground")
    await settle(pilot, lambda: True)


def _written(app: WorkbenchApp, prompt: str, text: str, state: Any) -> Generation:
    run = app.catalog.summaries[0]
    generation = Generation(Target(run.path, "best", 500), prompt, fixture_options(), state, text)
    generation.request_id = "here"
    generation.number = 1 + len(app.playground.history)
    generation.tokens, generation.reason = len(text.split()), "end_of_text"
    generation.asked_at, generation.first_token_at, generation.seconds = 0.0, 0.08, 1.21
    return generation


def fixture_options() -> Any:
    """The options of the texts in the history."""
    from kgpt.protocol import GenerateOptions

    return GenerateOptions(max_tokens=120, seed=1)


async def tokens_scene(pilot: Pilot[Any]) -> None:
    """The same text token by token, the cursor on one that could have been another, and a branch from there."""
    await generate_scene(pilot)
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    written = app.playground.history[-1]
    words = [
        " rochoso",
        " do",
        " Sistema",
        " Solar",
        ",",
        " o",
        " quarto",
        " a",
        " partir",
        " do",
        " Sol",
    ]
    for place, word in enumerate(words):
        others = [
            (word, 0.61),
            (" vermelho", 0.2),
            (" gasoso", 0.09),
            (" pequeno", 0.04),
            (" frio", 0.02),
        ]
        alternatives = tuple(
            Alternative(400 + place * 9 + n, text.encode(), chance / (1 + place % 3))
            for n, (text, chance) in enumerate(others)
        )
        written.written.append(
            Token(400 + place * 9, word.encode(), 0.61 / (1 + place % 3), alternatives)
        )
    branch = _written(app, PROMPT + " vermelho", " e frio.", "done")
    branch.parent = written.number
    app.playground.history.append(branch)
    await pilot.press("escape", "ctrl+up", "v")
    app.tell("playground")
    await settle(pilot, lambda: app.screen.query_one("#alternatives").option_count)  # type: ignore[attr-defined]
    await pilot.press("right", "right")
    await settle(pilot, lambda: True)


async def attention_scene(pilot: Pilot[Any]) -> None:
    """A pronoun that draws on its antecedent."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.runs.has_read)
    await pilot.press("4")
    await settle(pilot, lambda: bool(app.screen.query("#map")))
    study = app.attention
    parts = ["A", " cach", "orra", " viu", " o", " menino", ",", " e", " ela"]
    contents = tuple(part.encode() for part in parts)
    spans = ((0, 1), (1, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 8), (8, 9))
    rows = [[(place - abs(place - n) + 1.0) for n in range(place + 1)] for place in range(9)]
    rows[8] = [1, 6, 8, 2, 1, 4, 1, 2, 5]
    run = app.catalog.summaries[0]
    study.open(Target(run.path, "best", 500), "A cachorra viu o menino, e ela")
    study.words = Words(tuple(range(9)), contents, spans)
    study.num_layers, study.num_heads = 6, 4
    matrix = Matrix(tuple(tuple(value / sum(row) for value in row) for row in rows))
    study._matrices[View()] = matrix
    app.screen._opened = study.text  # type: ignore[attr-defined]
    app.screen.query_one("#map").focus()
    app.tell("attention")
    await settle(pilot, lambda: True)


async def ablation_scene(pilot: Pilot[Any]) -> None:
    """The same, without each word in turn."""
    await attention_scene(pilot)
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    without = (0.21, 0.04, 0.18, 0.25, 0.31, 0.22, 0.12, 0.2)
    app.attention._ablations[8] = Ablated(b" latiu", False, 0.23, without)
    await pilot.press("a")
    await settle(pilot, lambda: True)


async def data_scene(pilot: Pilot[Any]) -> None:
    """Two corpora, a window, two tokenizers."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.runs.has_read)
    await pilot.press("5")
    await settle(pilot, lambda: app.data.corpora is not None and app.bench.cuts[0] is not None)


async def system_scene(pilot: Pilot[Any]) -> None:
    """A machine with a GPU."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.catalog.is_complete and app.catalog.summaries)
    await pilot.press("6")
    await settle(pilot, lambda: app.machine.reading is not None)


async def help_scene(pilot: Pilot[Any]) -> None:
    """The help over the runs."""
    await runs_scene(pilot)
    await pilot.press("question_mark")
    await settle(pilot, lambda: True)


async def palette_scene(pilot: Pilot[Any]) -> None:
    """The command palette over the runs."""
    await runs_scene(pilot)
    await pilot.press("ctrl+p")
    await settle(pilot, lambda: pilot.app.screen.query("CommandList"))
    still_cursors(pilot.app)
    await settle(pilot, lambda: True)


async def nothing_found_scene(pilot: Pilot[Any]) -> None:
    """The palette with a search for what is not there."""
    await palette_scene(pilot)
    await pilot.press(*"zzzz")
    await settle(pilot, lambda: pilot.app.screen.query_one("CommandList").option_count == 1)  # type: ignore[attr-defined]


async def settings_scene(pilot: Pilot[Any]) -> None:
    """The form of the settings."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.preferences_path = Path("~/.config/kgpt/workbench.toml")
    await runs_scene(pilot)
    await pilot.press("f2")
    await settle(pilot, lambda: pilot.app.screen.query("#settings-help"))
    still_cursors(pilot.app)
    await settle(pilot, lambda: True)


async def themes_scene(pilot: Pilot[Any]) -> None:
    """The list of themes beside what they change."""
    await runs_scene(pilot)
    await pilot.press("T")
    await settle(pilot, lambda: pilot.app.screen.query("OptionList"))


async def jump_scene(pilot: Pilot[Any]) -> None:
    """A letter on each place of the Generate screen."""
    await generate_scene(pilot)
    await pilot.press("ctrl+o")
    await settle(pilot, lambda: True)


SCENES: dict[str, Prepare] = {
    "runs": runs_scene,
    "compare": compare_scene,
    "new-run": new_run_scene,
    "delete": delete_scene,
    "watch": watch_scene,
    "overlaid": overlaid_scene,
    "generate": generate_scene,
    "tokens": tokens_scene,
    "attention": attention_scene,
    "ablation": ablation_scene,
    "data": data_scene,
    "system": system_scene,
    "help": help_scene,
    "palette": palette_scene,
    "nothing-found": nothing_found_scene,
    "settings": settings_scene,
    "themes": themes_scene,
    "jump": jump_scene,
}
