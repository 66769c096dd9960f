"""The engine's client and the playground, against a process that speaks the protocol and misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pilots import engine_command

from kgpt.errors import KgptError, KgptFailure
from kgpt.protocol import GenerateOptions
from workbench.engine import Engine
from workbench.playground import Playground, Target

TARGET = Target(Path("saved_models/demo"), "best", 500)
OPTIONS = GenerateOptions(max_tokens=12, seed=0)


class Bench:
    """Makes playgrounds and closes their engines."""

    def __init__(self) -> None:
        self.made: list[Playground] = []
        self.changes = 0

    def playground(self, *manners: str) -> Playground:
        def count() -> None:
            self.changes += 1

        self.made.append(Playground(Engine(engine_command(*manners)), count))
        return self.made[-1]


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for playground in bench.made:
        await playground.engine.close()


async def test_a_generation_from_cold(bench: Bench) -> None:
    playground = bench.playground()
    assert playground.engine.state == "off"
    generation = playground.ask(TARGET, "Marte", OPTIONS)
    assert (generation.state, playground.is_busy) == ("waiting", True)
    await playground.run(generation)
    assert (generation.state, generation.reason, generation.tokens) == ("done", "length", 12)
    assert generation.text == " o quarto planeta a partir do Sol, cor de 🔥"
    assert generation.seconds_to_first_token is not None and generation.tokens_per_second
    assert playground.is_loaded(TARGET)
    assert playground.loaded["parameters"] == 6_241_280
    assert bench.changes > 12


async def test_the_options_reach_the_engine(bench: Bench) -> None:
    playground = bench.playground()
    texts = []
    for options in (
        OPTIONS,
        GenerateOptions(max_tokens=2, seed=0),
        GenerateOptions(max_tokens=2, seed=3),
    ):
        generation = playground.ask(TARGET, "Marte", options)
        await playground.run(generation)
        texts.append(generation.text)
    assert texts[1:] == [" é o", " planeta a"]


async def test_a_model_is_loaded_once_and_another_step_is_another_model(bench: Bench) -> None:
    playground = bench.playground()
    await playground.warm_up(TARGET)
    first = playground.loaded["id"]
    await playground.run(playground.ask(TARGET, "a", OPTIONS))
    assert playground.loaded["id"] == first
    await playground.run(playground.ask(Target(TARGET.run, "best", 750), "a", OPTIONS))
    assert playground.loaded["id"] != first


async def test_garbage_between_the_messages_is_passed_over(bench: Bench) -> None:
    playground = bench.playground("garbage")
    generation = playground.ask(TARGET, "Marte", OPTIONS)
    await playground.run(generation)
    assert generation.state == "done" and generation.text.endswith("🔥")


async def test_stop_takes_effect_at_once_and_keeps_the_text(bench: Bench) -> None:
    playground = bench.playground("slow")
    generation = playground.ask(TARGET, "Marte", GenerateOptions(max_tokens=400))
    task = asyncio.create_task(playground.run(generation))
    while generation.tokens < 3:
        await asyncio.sleep(0.01)
    start, tokens = time.monotonic(), generation.tokens
    await playground.stop()
    await task
    assert time.monotonic() - start < 0.5
    assert (generation.state, generation.reason) == ("stopped", "cancelled")
    assert generation.tokens <= tokens + 1 and generation.text.startswith(" o quarto")
    assert playground.engine.state == "ready"


async def test_stop_while_loading_sends_nothing(bench: Bench, tmp_path: Path) -> None:
    playground = bench.playground("hold", str(tmp_path / "go"))
    generation = playground.ask(TARGET, "Marte", OPTIONS)
    task = asyncio.create_task(playground.run(generation))
    while generation.state != "loading":
        await asyncio.sleep(0.005)
    await playground.stop()
    assert generation.state == "stopped" and not playground.is_busy
    (tmp_path / "go").touch()
    await task
    assert generation.state == "stopped" and generation.tokens == 0
    assert playground.is_loaded(TARGET)


async def test_an_engine_that_does_not_hear_is_stopped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.engine.TERMINATE_SECONDS", 0.2)
    playground = bench.playground("deaf")
    generation = playground.ask(TARGET, "Marte", GenerateOptions(max_tokens=400))
    task = asyncio.create_task(playground.run(generation))
    while generation.tokens < 2:
        await asyncio.sleep(0.01)
    await playground.stop()
    await task
    assert generation.state == "stopped" and generation.error is None
    assert playground.engine.state == "off"


async def test_a_crash_while_writing_keeps_the_text_and_the_next_use_starts_again(
    bench: Bench, tmp_path: Path
) -> None:
    playground = bench.playground("crash-once", str(tmp_path / "marker"))
    first = playground.ask(TARGET, "Marte", OPTIONS)
    await playground.run(first)
    assert (first.state, first.tokens) == ("failed", 3)
    assert isinstance(first.error, KgptFailure)
    assert "out of memory" in first.error.message and "Exit code 3" in first.error.message
    assert not playground.is_loaded(TARGET)
    second = playground.ask(TARGET, "Marte", OPTIONS)
    await playground.run(second)
    assert second.state == "done"


async def test_a_crash_at_the_start_is_an_error_not_a_wait(bench: Bench) -> None:
    playground = bench.playground("crash-at-start")
    with pytest.raises(KgptFailure, match="out of memory"):
        await playground.warm_up(TARGET)
    assert playground.stage == ""


async def test_an_error_of_the_engine_reaches_the_generation(bench: Bench) -> None:
    playground = bench.playground("refuse")
    generation = playground.ask(TARGET, "Marte", OPTIONS)
    await playground.run(generation)
    assert generation.state == "failed" and generation.error
    assert (generation.error.title, generation.error.hint) == (
        "Vocabulary does not match",
        "Retrain.",
    )


async def test_a_command_that_is_not_there() -> None:
    engine = Engine(["/nowhere/engine"])
    with pytest.raises(KgptFailure, match="did not start"):
        await engine.start()
    assert engine.state == "off" and engine.log_file is None


async def test_a_silent_engine_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.engine.TERMINATE_SECONDS", 0.2)
    engine = Engine(engine_command("silent"))
    task = asyncio.create_task(engine.start())
    await asyncio.sleep(0.1)
    assert engine.state == "starting"
    await engine.close()
    with pytest.raises(KgptFailure):
        await task


async def test_two_requests_at_once_start_one_process() -> None:
    engine = Engine(engine_command("slow"))
    await asyncio.gather(engine.start(), engine.start())
    assert engine.generation == 1
    await engine.close()


async def test_the_log_holds_stderr_and_goes_with_the_engine() -> None:
    engine = Engine(engine_command())
    await engine.start()
    log = engine.log_file
    assert log and "the engine's log begins" in engine.log_tail()
    await engine.close()
    assert not log.exists() and engine.state == "off"


async def test_an_unknown_request_is_an_error() -> None:
    engine = Engine(engine_command())
    with pytest.raises(KgptError, match="Unknown request"):
        async for _ in engine.request({"type": "dance"}):
            pass
    await engine.close()
