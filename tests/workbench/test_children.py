"""Commands of kgpt as children: what they answer, how they fail, how they are stopped."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError, KgptFailure
from workbench.children import Job, error_said


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_a_real_plan() -> None:
    plan = await Job(["plan", "--preset", "char-cpu", "--steps", "10"]).run()
    assert plan["time"]["steps"] == 10 and plan["parameters"] > 100_000


async def test_a_real_mistake() -> None:
    with pytest.raises(KgptError) as caught:
        await Job(["plan", "--preset", "tiny-tim"]).run()
    assert not isinstance(caught.value, KgptFailure)
    assert "tiny-tim" in caught.value.message and caught.value.title and caught.value.hint


async def test_stages_are_told_as_they_come() -> None:
    code = (
        "import sys; print('Loading ...', file=sys.stderr, flush=True); print('noise', file=sys.stderr);"
        "print('Writing ...', file=sys.stderr); print('{\"bytes\": 3}')"
    )
    stages: list[str] = []
    assert await Job(["export"], stages.append, script(code)).run() == {"bytes": 3}
    assert stages == ["Loading", "Writing"]


async def test_cancelling_lets_it_clean_up(tmp_path: Path) -> None:
    code = f"""
import pathlib, sys, time
path = pathlib.Path({str(tmp_path / "half")!r}); path.write_text("half")
try:
    print("Writing ...", file=sys.stderr, flush=True)
    time.sleep(60)
finally:
    path.unlink()"""
    begun = asyncio.Event()
    job = Job(["export"], lambda stage: begun.set(), script(code))
    task = asyncio.create_task(job.run())
    await asyncio.wait_for(begun.wait(), 30)
    await job.cancel()
    with pytest.raises(KgptFailure, match="Cancelled"):
        await task
    assert not (tmp_path / "half").exists() and not job.was_killed


async def test_what_does_not_listen_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.children.INTERRUPT_SECONDS", 0.2)
    code = (
        "import signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "print('Deaf ...', file=sys.stderr, flush=True); time.sleep(60)"
    )
    begun = asyncio.Event()
    job = Job(["export"], lambda stage: begun.set(), script(code))
    task = asyncio.create_task(job.run())
    await asyncio.wait_for(begun.wait(), 30)
    start = time.monotonic()
    await job.cancel()
    with pytest.raises(KgptFailure, match="Cancelled"):
        await task
    assert job.was_killed and time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("print('no object')", "No answer"),
        ("print('[1]')", "No answer"),
        ("raise ValueError('broken')", "The command failed"),
        ("import os; os.kill(os.getpid(), 9)", "The command failed"),
    ],
)
async def test_failures(code: str, title: str) -> None:
    with pytest.raises(KgptFailure) as caught:
        await Job(["export"], command=script(code)).run()
    assert caught.value.title == title


async def test_a_command_that_is_not_there() -> None:
    with pytest.raises(KgptFailure, match="no/such"):
        await Job(["plan"], command=["/no/such/python"]).run()


@given(st.text(max_size=300), st.integers(-20, 300))
def test_whatever_is_said_is_an_error_of_few_lines(text: str, code: int) -> None:
    error = error_said(text, code)
    assert error.title and "\n" not in error.title and len(str(error).splitlines()) <= 40
    assert json.dumps(str(error))


def test_the_last_error_counts() -> None:
    error = error_said("kgpt: First\n  a\nnoise\nkgpt: Second\n  message\n  hint", 2)
    assert (error.title, error.message, error.hint) == ("Second", "message", "hint")
