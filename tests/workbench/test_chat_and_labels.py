"""Screen 3 with runs that answer and runs that label: conversations, and labels as one types."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from textual.widgets import Select

from kgpt import language
from workbench.app import WorkbenchApp
from workbench.generations import generation_of_dict
from workbench.widgets.label_bars import LabelBars
from workbench.widgets.output import Output
from workbench.widgets.prompt import Prompt

SIZE = (120, 40)


@pytest.fixture
def answering(root: Path) -> Path:
    run = runs.RunWriter(root / "helper").begin(template={"user": "x"}, task="instruction")
    run.metrics(100).checkpoints(100, best=100).status("finished", age=60).freeze(60)
    return run.path


@pytest.fixture
def labelling(root: Path) -> Path:
    run = runs.RunWriter(root / "spam").begin(task="classification")
    run.metrics(100).checkpoints(100, best=100).status("finished", age=60).freeze(60)
    return run.path


async def to_generate(pilot: Any, app: WorkbenchApp, tokens: int = 3) -> None:
    await until(pilot, lambda: app.catalog.summaries)
    app.action_show("generate")
    await until(pilot, lambda: app.screen.query_one("#run", Select).value)
    await until(pilot, lambda: app.playground.loaded)
    app.screen.query_one("#max_tokens").value = str(tokens)
    app.screen.query_one("#seed").value = "1"


async def say(pilot: Any, app: WorkbenchApp, text: str) -> None:
    count = len(app.playground.history)
    app.screen.query_one(Prompt).put(text)
    await pilot.press("ctrl+g")
    await until(pilot, lambda: len(app.playground.history) > count and not app.playground.is_busy)


def shown(app: WorkbenchApp) -> str:
    return str(app.screen.query_one(Output).query_one("#text").render())


async def test_a_conversation_goes_on_is_kept_and_begins_anew(
    answering: Path, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(run_name="helper", state_path=tmp_path / "state")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app)
        prompt = app.screen.query_one(Prompt)
        assert prompt.border_title == "message"
        await say(pilot, app, "Olá!")
        first = app.playground.history[-1]
        assert first.messages == [{"role": "user", "content": "Olá!"}] and first.text
        assert prompt.text == "", "ready for the next message"
        await until(pilot, lambda: "model" in shown(app) and first.text.strip() in shown(app))
        await say(pilot, app, "E depois?")
        second = app.playground.history[-1]
        assert [turn["role"] for turn in second.messages] == ["user", "assistant", "user"]
        assert second.messages[1]["content"] == first.text and second.parent == first.number
        assert second.text != first.text, "the engine saw the turns before"
        await until(pilot, lambda: all(part in shown(app) for part in ("Olá!", "E depois?")))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: len(app.playground.history) == 3 and not app.playground.is_busy)
        third = app.playground.history[-1]
        assert third.messages == second.messages and third.parent == first.number
        await pilot.press("ctrl+s")
        row = json.loads((answering / "generations.jsonl").read_text())
        assert row["messages"] == third.messages and row["text"] == third.text
        await pilot.press("ctrl+n")
        await until(pilot, lambda: "Olá!" not in shown(app))
        await say(pilot, app, "Outra coisa")
        assert len(app.playground.history[-1].messages) == 1
        assert len(app.playground.history) == 4, "what was said stays in the history"
    again = make_app(run_name="helper", state_path=tmp_path / "state")
    async with again.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: again.playground.history)
        kept = [item.messages for item in again.playground.history]
        assert kept == [item.messages for item in app.playground.history]


async def test_an_answer_can_be_stopped_and_an_empty_message_is_none(
    answering: Path, make_app: MakeApp
) -> None:
    app = make_app("slow", run_name="helper")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app, tokens=400)
        await pilot.press("ctrl+g")
        assert not app.playground.history
        app.screen.query_one(Prompt).put("Conta")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.playground.history and app.playground.history[0].text)
        await until(pilot, lambda: app.playground.history[0].text.strip() in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not app.playground.is_busy)
        (item,) = app.playground.history
        assert item.state == "stopped" and item.turns[-1]["role"] == "assistant"


async def test_a_message_that_failed_comes_back(answering: Path, make_app: MakeApp) -> None:
    app = make_app("crash-on-generate", run_name="helper")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app, tokens=9)
        app.screen.query_one(Prompt).put("Olá, modelo")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.last_error)
        await until(pilot, lambda: app.screen.query_one(Prompt).text == "Olá, modelo")


def test_a_conversation_is_read_back_and_a_damaged_one_refused() -> None:
    values = {"run": "/r", "checkpoint": "best", "prompt": "b", "text": "c", "state": "done"}
    values |= {"tokens": 1, "number": 1, "options": {}}
    turns = [{"role": "user", "content": "b"}]
    item = generation_of_dict({**values, "messages": turns})
    assert item.messages == turns and item.whole == "user: b\n\nassistant: c\n"
    for damaged in ([{"role": "user"}], ["x"], 3):
        with pytest.raises((KeyError, TypeError, ValueError)):
            generation_of_dict({**values, "messages": damaged})


async def test_labels_appear_as_one_types(labelling: Path, make_app: MakeApp) -> None:
    app = make_app(run_name="spam")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app)
        bars = app.screen.query_one(LabelBars)
        assert bars.display and not app.screen.query_one(Output).display
        app.screen.query_one(Prompt).focus()
        await pilot.press(*"money now")
        await until(
            pilot, lambda: app.labelling.text == "moneynow" or app.labelling.text == "money now"
        )
        await until(pilot, lambda: "90.00%" in str(bars.render()))
        language.use(language.PORTUGUESE)
        try:
            bars.show(app.labelling, "")
            assert "90,00%" in str(bars.render())
        finally:
            language.use(language.ENGLISH)
        lines = str(bars.render()).splitlines()
        assert lines[0].startswith("● spam") and lines[1].startswith("  ham")
        assert lines[0].count("━") > lines[1].count("━") > 0
        app.screen.query_one(Prompt).put("a friend")
        await until(pilot, lambda: str(bars.render()).startswith("● ham"))
        app.screen.query_one(Prompt).put("hm")
        await until(pilot, lambda: "No label is probable enough" in str(bars.render()))
        app.screen.query_one(Prompt).put("")
        await until(pilot, lambda: "as you type" in str(bars.render()))
        assert not app.playground.history, "nothing is generated"


async def test_only_the_newest_text_is_labelled(labelling: Path, make_app: MakeApp) -> None:
    app = make_app("slow", run_name="spam")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app)
        target = app.playground._holds["main"][0]
        texts = ("one of many", "two of many", "money")
        asked = [asyncio.create_task(app.labelling.ask(target, text)) for text in texts]
        await asyncio.sleep(0)
        assert app.labelling.is_waiting
        numbers = [app.playground.engine.new_id()]
        await asyncio.gather(*asked)
        numbers.append(app.playground.engine.new_id())
        first, last = (int(number[1:]) for number in numbers)
        assert last - first == 2, "one request for three texts"
        assert not app.labelling.is_waiting
        assert app.labelling.text == "money" and app.labelling.label == "spam"


async def test_a_classifier_that_cannot_be_had_is_said(labelling: Path, make_app: MakeApp) -> None:
    app = make_app("refuse", run_name="spam")
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        app.action_show("generate")
        await until(pilot, lambda: app.screen.query_one("#run", Select).value)
        app.screen.query_one(Prompt).put("money")
        bars = app.screen.query_one(LabelBars)
        await until(pilot, lambda: "Vocabulary does not match" in str(bars.render()))


async def test_another_run_changes_the_view(
    labelling: Path, answering: Path, root: Path, make_app: MakeApp
) -> None:
    runs.a_finished(root)
    app = make_app(run_name="spam")
    async with app.run_test(size=SIZE) as pilot:
        await to_generate(pilot, app)
        prompt, menu = app.screen.query_one(Prompt), app.screen.query_one("#run", Select)
        assert prompt.border_title == "text to label"
        menu.value = "helper"
        await until(pilot, lambda: prompt.border_title == "message")
        menu.value = "encyclopedia"
        await until(pilot, lambda: prompt.border_title == "prompt")
        assert app.screen.query_one(Output).display and not app.screen.query_one(LabelBars).display
