"""Screen 6 and what it reads, with an `nvidia-smi` that says what the real one says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import fixture_runs as runs
import psutil
import pytest
from pilots import MakeApp, until
from test_generate_screen import text_of

from workbench import machine

SMI = """#!/bin/sh
case "$1" in
  --query-gpu=*) echo "0, NVIDIA H100 80GB HBM3, 37, 1024, 81559, 45, 550.54"
                 echo "1, NVIDIA H100 80GB HBM3, [N/A], [N/A], 81559, [N/A], 550.54";;
  --query-compute-apps=*) echo "4711, /usr/bin/python, 900";;
esac
"""


def write_smi(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = SMI) -> None:
    """A program `nvidia-smi`, before all others."""
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without NVIDIA's program."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_gpus_and_who_uses_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_smi(tmp_path / "bin", monkeypatch)
    first, second = machine.read_gpus()
    assert (first.name, first.busy, first.celsius) == ("NVIDIA H100 80GB HBM3", 0.37, 45)
    assert (first.used_bytes, first.total_bytes) == (1024 * 2**20, 81559 * 2**20)
    assert (second.index, second.busy, second.used_bytes, second.celsius) == (1, None, None, None)
    assert machine.read_gpu_processes() == (
        machine.GpuProcess(4711, "/usr/bin/python", 900 * 2**20),
    )


@pytest.mark.parametrize(
    "script",
    ["#!/bin/sh\nexit 9\n", "#!/bin/sh\necho 'NVIDIA-SMI has failed'\n", "no script", "#!/bin/sh\necho 1,2\n"],
)  # fmt: skip
def test_a_broken_driver_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    write_smi(tmp_path / "bin", monkeypatch, script)
    assert machine.read_gpus() == () == machine.read_gpu_processes()


def test_a_driver_that_hangs_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_smi(tmp_path / "bin", monkeypatch, "#!/bin/sh\nexec sleep 30\n")
    monkeypatch.setattr(machine, "GPU_SECONDS", 0.2)
    assert machine.read_gpus() == ()


def test_load_disk_and_versions_are_those_of_the_system(tmp_path: Path, no_gpu: None) -> None:
    load = machine.load()
    assert load.cores == psutil.cpu_count() and load.total_bytes == psutil.virtual_memory().total
    assert 0 <= load.cpu <= 1 and 0 < load.used_bytes < load.total_bytes and load.gpus == ()
    (found,) = machine.disks((tmp_path / "not" / "yet", tmp_path))
    assert found.total_bytes == shutil.disk_usage(tmp_path).total
    assert found.folders == (tmp_path / "not" / "yet", tmp_path), "one disk, said once"
    from importlib.metadata import version

    assert machine.versions()["keras"] == version("keras")


def test_curves_go_from_nothing_to_all() -> None:
    from workbench.widgets.system_report import curve

    assert curve([0.0, 0.5, 1.0, 1.2, -1], 7).plain == "  ▁▅██▁"
    assert curve([1.0] * 9, 3).plain == "███"


async def test_the_machine_and_a_report_to_copy(
    make_app: MakeApp, root: Path, no_gpu: None
) -> None:
    runs.a_zoo(root)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.catalog.summaries)
        app.show_error(machine_error())
        await pilot.press("6")
        await until(pilot, lambda: app.machine.reading and "CPU" in text_of(app, "#cpu-line"))
        assert " of " in text_of(app, "#memory-line") and "left" in text_of(app, "#disks")
        assert not app.screen.query_one("#gpu-part").display, "nothing about what is not there"
        await pilot.press("y")
        report = app.clipboard
        for part in ("- keras ", "- textual ", "cores", "120 x 40", "1 finished", "No space left"):
            assert part in report
        assert "encyclopedia" not in report, "names of runs are nobody's business"
        first = app.machine.reading
        app.machine.read()
        await until(pilot, lambda: app.machine.reading is not first)
        await pilot.press("escape")
        assert app.current_mode == "runs"


def machine_error() -> Exception:
    from kgpt.errors import KgptFailure

    return KgptFailure("No space left on the disk", "message", "hint")


async def test_gpus_are_shown_where_there_are_some(
    make_app: MakeApp, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_smi(tmp_path / "bin", monkeypatch)
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.runs.has_read)
        await pilot.press("6")
        await until(
            pilot,
            lambda: app.screen.query("#gpu-part") and app.screen.query_one("#gpu-part").display,
        )
        line = text_of(app, "#gpu-line")
        assert (
            "37% · 45 °C" in line and "1.1 GB of 85.5 GB" in line and "4711 /usr/bin/python" in line
        )
        assert "driver 550.54" in text_of(app, "#bug-report")
