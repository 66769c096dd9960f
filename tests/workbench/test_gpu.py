"""Who uses the GPU, with an `nvidia-smi` that says what the real one says: a badge, a choice, a curve of its memory."""

from __future__ import annotations

import os
from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until
from test_system_screen import write_smi
from textual.content import Content
from textual.widgets import Static

from workbench import machine
from workbench.app import WorkbenchApp
from workbench.machine import Gpu, GpuProcess, GpuUse
from workbench.services.device import DEVICES
from workbench.widgets.device_badge import device_badge
from workbench.widgets.strips import Strips

GPU = Gpu(0, "NVIDIA H100 80GB HBM3", 0.9, 31e9, 85e9, 60, "550.54")
QUIET = Gpu(0, "NVIDIA H100 80GB HBM3", 0.0, 4e8, 85e9, 30, "550.54")


def busy_with(pid: int, mebibytes: int = 20_000) -> str:
    """An nvidia-smi that sees one process."""
    return f"""#!/bin/sh
case "$1" in
  --query-gpu=*) echo "0, NVIDIA H100 80GB HBM3, 97, {mebibytes + 500}, 81559, 61, 550.54";;
  --query-compute-apps=*) echo "{pid}, /usr/bin/python, {mebibytes}";;
esac
"""


def badge(app: WorkbenchApp) -> str:
    return Content.from_markup(app.screen.query_one("#output").border_subtitle or "").plain


def strips(app: WorkbenchApp) -> str:
    return str(app.screen.query_one(Strips).render())


@pytest.mark.parametrize(
    ("use", "used"),
    [
        (GpuUse(), None),
        (GpuUse((GPU,), (GpuProcess(os.getpid(), "python", 2e9),)), 2e9),
        (GpuUse((GPU,), (GpuProcess(os.getpid(), "python", None),)), 31e9),
        (GpuUse((GPU,), (GpuProcess(os.getppid(), "python", 2e9),)), None),
        (GpuUse((GPU,), ()), 31e9),
        (GpuUse((GPU,), (GpuProcess(runs.DEAD_PID, "python", 2e9),)), 31e9),
        (GpuUse((QUIET,), ()), None),
    ],
    ids=["no GPU", "named", "not told", "another's", "in a container", "foreign numbers", "idle"],
)
def test_what_a_process_uses(use: GpuUse, used: float | None) -> None:
    assert use.bytes_of(os.getpid()) == used


def test_without_nvidias_program_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not machine.has_gpu() and machine.read_gpu_use() == GpuUse()
    assert device_badge(None, is_on_cpu=True).plain == ""


async def test_models_write_on_the_cpu_while_a_trainer_has_the_gpu(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getpid()))
    monkeypatch.setattr("workbench.screens.generate.GPU_SECONDS", 0.1)
    runs.a_live(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.catalog.is_complete and app.catalog.summaries)
        await pilot.press("3")
        await until(pilot, lambda: "on the CPU: machado uses the GPU · alt+d" in badge(app))
        engine = app.playground.engine
        await until(pilot, lambda: engine.state == "ready")
        assert engine.environment == DEVICES["cpu"]
        first = engine.generation
        await pilot.press("alt+d")
        await until(pilot, lambda: "on the GPU, beside machado" in badge(app))
        assert engine.environment == DEVICES["gpu"]
        await until(pilot, lambda: engine.state == "off")
        await pilot.press(*"Marte", "ctrl+g")
        await until(pilot, lambda: engine.state == "ready" and engine.generation > first)
        assert engine.environment == DEVICES["gpu"], "what was chosen is not decided again"
        await pilot.press("alt+d")
        await until(pilot, lambda: "on the CPU" in badge(app))


async def test_an_engine_that_was_there_before_the_trainer_is_not_called_what_it_is_not(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getppid()))
    monkeypatch.setattr("workbench.screens.generate.GPU_SECONDS", 0.1)
    runs.a_live(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.catalog.is_complete and app.catalog.summaries)
        await pilot.press("3")
        await until(pilot, lambda: app.playground.engine.state == "ready")
        assert badge(app) == "" and app.playground.engine.environment == DEVICES["auto"]
        await pilot.press("alt+d")
        await until(pilot, lambda: any("No trainer" in n.message for n in app._notifications))
        write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getpid()))
        await until(pilot, lambda: "on the GPU, beside machado" in badge(app))


async def test_a_chosen_device_stays(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.preferences import Preferences

    write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getpid()))
    runs.a_live(root)
    preferences = Preferences()
    preferences.values["device"] = "gpu"
    app = make_app(preferences=preferences)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.catalog.is_complete and app.catalog.summaries)
        await app.machine.read_gpu()
        assert app.device.trainer is not None
        assert await app.device.decide() == DEVICES["gpu"]


async def test_the_gpus_memory_stands_among_the_metrics_of_a_live_run(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getpid()))
    monkeypatch.setattr("workbench.screens.watch.GPU_SECONDS", 0.05)
    runs.a_live(root)
    runs.a_finished(root)
    app = make_app(run_name="machado")
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "GPU memory 21 GB" in strips(app))
        write_smi(tmp_path / "bin", monkeypatch, busy_with(os.getpid(), 40_000))
        await until(pilot, lambda: "GPU memory 41.9 GB" in strips(app))
        assert "█" in strips(app).splitlines()[1][-40:], "its curve has risen"
        await pilot.press("right_square_bracket")
        await until(
            pilot, lambda: "encyclopedia" in str(app.screen.query_one("RunHeader", Static).render())
        )
        assert "GPU" not in strips(app), "a run that has ended uses none"


async def test_nothing_is_said_of_a_gpu_that_is_not_there(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("workbench.screens.watch.GPU_SECONDS", 0.05)
    runs.a_live(root)
    app = make_app(run_name="machado")
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "learning rate" in strips(app))
        app.machine.watch_gpu(os.getpid())
        await app.machine.read_gpu()
        await pilot.pause(0.2)
        assert "GPU" not in strips(app) and app.device.trainer is None
