"""Starting, stopping and resuming trainers: real processes, real signals, real locks."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import TRAINER

from kgpt.errors import KgptError
from kgpt.runs import RunFolder, is_owned
from workbench.launcher import Launcher, last_words, output_file, shell_line


def wait(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def launcher(root: Path) -> Iterator[Launcher]:
    """A launcher of trainers without a model, none of which outlives the test."""
    made = Launcher(root, TRAINER)
    yield made
    for item in made._started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(item.process.pid, signal.SIGKILL)
        item.process.wait()


def begun(launcher: Launcher, name: str = "fresh") -> RunFolder:
    """Wait until the trainer owns its run."""
    folder = RunFolder(launcher.root / name)
    wait(lambda: launcher.poll() == [] and name not in launcher.starting and folder.metrics())
    return folder


def test_start_stop_and_resume(launcher: Launcher) -> None:
    launcher.start("fresh", ["--preset", "demo"])
    assert launcher.starting == ("fresh",)
    folder = begun(launcher)
    pid = folder.status()["pid"]
    assert os.getsid(pid) == pid, "in a session of its own: no hang-up of this terminal reaches it"
    assert launcher.stop(folder) == "asked"
    wait(lambda: folder.status()["state"] == "stopped")
    step = folder.status()["step"]
    wait(lambda: not is_owned(folder))
    launcher.poll()
    launcher.resume("fresh")
    begun(launcher)
    assert folder.status()["pid"] != pid and folder.status()["step"] > step


def test_the_second_time_it_is_killed(launcher: Launcher) -> None:
    launcher.start("fresh", ["--manner", "deaf"])
    folder = begun(launcher)
    assert launcher.ending_of(folder) == "asked" and launcher.stop(folder) == "asked"
    wait(lambda: folder.status()["state"] == "stopping")
    assert launcher.ending_of(folder) == "killed" and launcher.stop(folder) == "killed"
    wait(lambda: launcher.poll() == [] and folder.status()["state"] == "crashed")


def test_a_run_is_found_again_and_stopped_by_another_workbench(launcher: Launcher) -> None:
    launcher.start("fresh", [])
    folder = begun(launcher)
    assert Launcher(launcher.root).stop(folder) == "asked"
    wait(lambda: launcher.poll() == [] and folder.status()["state"] == "stopped")


def test_it_outlives_the_process_that_started_it(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from workbench.launcher import Launcher\n"
        f"Launcher(Path({str(root)!r}), {TRAINER!r}).start('fresh', [])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    folder = RunFolder(root / "fresh")
    wait(lambda: len(folder.metrics()) > 2)
    Launcher(root).stop(folder)
    wait(lambda: folder.status()["state"] == "stopped")


def test_a_process_that_is_not_the_runs_is_left_alone(root: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        run = runs.RunWriter(root / "lost").begin().status("running", pid=bystander.pid)
        with pytest.raises(KgptError, match="Not the run's process"):
            Launcher(root).stop(RunFolder(run.path))
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_nothing_to_stop_and_another_machine(root: Path) -> None:
    finished = RunFolder(runs.a_finished(root).path)
    with pytest.raises(KgptError, match="Nobody trains encyclopedia"):
        Launcher(root).stop(finished)
    far = runs.RunWriter(root / "far").begin()
    far.status("running", host="elsewhere", heartbeat=time.time())
    with pytest.raises(KgptError, match="is trained on elsewhere"):
        Launcher(root).stop(RunFolder(far.path))


def test_a_mistake_told_before_there_is_a_run(launcher: Launcher) -> None:
    launcher.start("fresh", ["--manner", "refuses"])
    failures: list[tuple[str, KgptError]] = []
    wait(lambda: failures.extend(launcher.poll()) or failures)  # type: ignore[func-returns-value]
    ((name, error),) = failures
    assert (name, error.title, error.hint) == ("fresh", "No prepared data", "Prepare it.")
    assert launcher.starting == () and list(launcher.root.iterdir()) == []


def test_a_run_that_has_nothing_left_to_train(launcher: Launcher) -> None:
    runs.a_finished(launcher.root)
    launcher._command = (sys.executable, "-c", "print('It has finished all its 1500 steps.')")
    launcher.resume("encyclopedia")
    failures: list[tuple[str, KgptError]] = []
    wait(lambda: failures.extend(launcher.poll()) or failures)  # type: ignore[func-returns-value]
    assert failures[0][1].title == "Nothing left to train"
    assert "all its 1500 steps" in failures[0][1].message


def test_last_words_of_a_trainer_that_died(launcher: Launcher) -> None:
    launcher.start("fresh", ["--manner", "dies"])
    wait(lambda: launcher.poll() == [] and not launcher._started)
    assert last_words(launcher.root, "fresh") == ["out of everything"]
    assert RunFolder(launcher.root / "fresh").status()["state"] == "crashed"


def test_stopping_one_that_is_still_on_its_way(launcher: Launcher) -> None:
    launcher.start("fresh", ["--manner", "slow"])
    assert launcher.stop(RunFolder(launcher.root / "fresh")) == "asked"
    wait(lambda: launcher.poll() == [] and launcher.starting == ())
    assert not output_file(launcher.root, "fresh").exists()


def test_what_cannot_be_started(launcher: Launcher, root: Path) -> None:
    runs.a_finished(root)
    for name, title in (("encyclopedia", "Run exists"), ("a/b", "Bad run name")):
        with pytest.raises(KgptError) as error:
            launcher.start(name, [])
        assert error.value.title == title
    launcher.start("fresh", ["--manner", "slow"])
    with pytest.raises(KgptError, match="on its way"):
        launcher.start("fresh", [])
    with pytest.raises(KgptError, match="no run 'nobody'"):
        launcher.resume("nobody")
    with pytest.raises(KgptError, match="no/such"):
        Launcher(root, ["/no/such/python"]).start("other", [])


def test_a_run_at_work_is_not_resumed(launcher: Launcher) -> None:
    launcher.start("fresh", [])
    begun(launcher)
    with pytest.raises(KgptError, match="A trainer owns"):
        launcher.resume("fresh")


def test_the_shell_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--run", "mine", "--data", "my text"]
    assert shell_line(root, options).endswith(f"--data 'my text' --saved-models {root}")
    monkeypatch.setenv("KGPT_SAVED_MODELS", str(root))
    assert shell_line(root, options) == "kgpt-train --run mine --data 'my text'"
