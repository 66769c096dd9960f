"""Scenes of the workbench over fixture runs, the same on every machine: for the snapshots and the pictures.

A scene is an app and a way to bring it to a state in which nothing moves any more: the clocks stand still, no cursor
blinks, nothing is animated, and the folder of the runs is always called `saved_models`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import fixture_runs
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input, Static

from workbench.app import WorkbenchApp
from workbench.playground import Generation, Target

Prepare = Callable[[Pilot[Any]], Awaitable[None]]
PROMPT = "Marte é um planeta"
TEXT = (
    " rochoso do Sistema Solar, o quarto a partir do Sol. A sua cor avermelhada vem do óxido de ferro que cobre o"
    " solo. Tem duas luas, Fobos e Deimos, e um ano marciano dura 687 dias terrestres."
)


class StillEngineApp(WorkbenchApp):
    """Never starts an engine: what it would have written is put there."""

    def warm_up(self, target: Target) -> None:
        """Nothing."""


def make_app(
    folder: Path, make_runs: Callable[[Path], object] = fixture_runs.a_zoo, **options: Any
) -> WorkbenchApp:
    """An app whose folder of runs is `saved_models`, relative to `folder`."""
    root = folder / "saved_models"
    root.mkdir()
    make_runs(root)
    os.chdir(folder)
    return StillEngineApp(
        Path("saved_models"),
        clock=lambda: fixture_runs.NOW,
        stopwatch=lambda: 0.0,
        poll_seconds=0.3,
        **options,
    )


async def settle(pilot: Pilot[Any], holds: Callable[[], object]) -> None:
    """Wait until something holds, then until every message has been handled."""
    for _ in range(600):
        if holds():
            break
        await pilot.pause(0.02)
    for _ in range(5):
        await pilot.pause(0.03)


def still_cursors(app: App[Any]) -> None:
    """No cursor blinks."""
    for field in app.screen.query(Input):
        field.cursor_blink = False


async def runs_scene(pilot: Pilot[Any]) -> None:
    """All runs, the cursor on the second."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.has_read)
    if app.catalog.summaries:
        await pilot.press("j")
    await settle(pilot, lambda: True)


async def compare_scene(pilot: Pilot[Any]) -> None:
    """A run beside a pinned one, both marked, the list filtered."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.overlaid, app.pinned = ["machado", "encyclopedia"], "machado"
    await settle(pilot, lambda: app.has_read)
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
            and "1,377" in str(app.screen.query_one("#new-plan", Static).render())
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
    await settle(pilot, lambda: app.has_read)
    if app.current_mode != "watch":
        await pilot.press("2")
    await settle(
        pilot, lambda: app.follower.data is not None and app.follower.recording is not None
    )


async def overlaid_scene(pilot: Pilot[Any]) -> None:
    """Three runs on one chart, with the crosshair on it."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    app.overlaid = ["machado", "tinyshakespeare"]
    app.chosen_run = "encyclopedia"
    await watch_scene(pilot)
    await settle(pilot, lambda: len(app.crowd.data) == 2)
    await pilot.press(*"hhhhhhhhhhhhhhhhhhhh", "v")
    await settle(pilot, lambda: True)


async def generate_scene(pilot: Pilot[Any]) -> None:
    """A text written just now, and one that was stopped before it."""
    app = pilot.app
    assert isinstance(app, WorkbenchApp)
    await settle(pilot, lambda: app.has_read)
    stopped = _written(app, "A capital da França é", " Paris, nas margens do", "stopped")
    app.playground.history += [stopped, _written(app, PROMPT, TEXT, "done")]
    await pilot.press("3")
    await settle(pilot, lambda: bool(app.screen.query("#prompt")))
    app.screen.query_one("#seed", Input).value = "1"
    app.screen.query_one("#prompt").text = PROMPT  # type: ignore[attr-defined]
    app._tell("playground")
    await settle(pilot, lambda: True)


def _written(app: WorkbenchApp, prompt: str, text: str, state: Any) -> Generation:
    run = app.catalog.summaries[0]
    generation = Generation(Target(run.path, "best", 500), prompt, fixture_options(), state, text)
    generation.tokens, generation.reason = len(text.split()), "end_of_text"
    generation.asked_at, generation.first_token_at, generation.seconds = 0.0, 0.08, 1.21
    return generation


def fixture_options() -> Any:
    """The options of the texts in the history."""
    from kgpt.protocol import GenerateOptions

    return GenerateOptions(max_tokens=120, seed=1)


async def help_scene(pilot: Pilot[Any]) -> None:
    """The help over the runs."""
    await runs_scene(pilot)
    await pilot.press("question_mark")
    await settle(pilot, lambda: True)


SCENES: dict[str, Prepare] = {
    "runs": runs_scene,
    "compare": compare_scene,
    "new-run": new_run_scene,
    "delete": delete_scene,
    "watch": watch_scene,
    "overlaid": overlaid_scene,
    "generate": generate_scene,
    "help": help_scene,
}
