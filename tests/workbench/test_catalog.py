"""The catalog: one summary for every run, live, at the cost of what is new."""

from __future__ import annotations

import json
import os
from pathlib import Path

import fixture_runs as runs
import pytest

from workbench.catalog import Catalog
from workbench.digest import Thinned
from workbench.run_summary import RunSummary


def refreshed(root: Path, now: float = runs.NOW) -> dict[str, RunSummary]:
    catalog = Catalog(root, lambda: now)
    catalog.refresh()
    return {item.name: item for item in catalog.summaries}


def test_a_missing_folder_has_no_runs(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "nowhere")
    assert not catalog.refresh()
    assert catalog.summaries == ()


def test_a_finished_run_in_full(root: Path) -> None:
    runs.a_finished(root)
    run = refreshed(root)["encyclopedia"]
    assert (run.state, run.step, run.steps, run.progress) == ("finished", 1500, 1500, 1.0)
    assert (run.preset, run.parameters, run.best_step) == ("demo", 6_241_280, 1500)
    assert run.best_validation_loss == run.validation_loss == pytest.approx(1.88, abs=0.01)
    assert [(c.step, c.is_best) for c in run.checkpoints] == [
        (1000, False),
        (1250, False),
        (1500, True),
    ]
    assert len(run.curve) > 20 and run.curve[0] > run.curve[-1]
    assert run.is_complete and not run.is_live and not run.problem


@pytest.mark.parametrize(
    ("make", "state", "is_live"),
    [
        (runs.a_live, "running", True),
        (runs.a_crashed, "crashed", False),
        (runs.a_compiling, "compiling", True),
        (runs.a_diverged, "failed", False),
        (runs.an_unreadable, "unreadable", False),
        (lambda root: runs.a_live(root, age=600), "stalled", True),
    ],
)
def test_states(root: Path, make: object, state: str, is_live: bool) -> None:
    make(root)  # type: ignore[operator]
    (run,) = refreshed(root).values()
    assert (run.state, run.is_live) == (state, is_live)


def test_an_unreadable_run_says_why_and_keeps_its_figures(root: Path) -> None:
    runs.an_unreadable(root)
    run = refreshed(root)["damaged"]
    assert "run.json" in run.problem
    assert run.train_loss is not None


def test_a_run_of_a_newer_version_is_unreadable(root: Path) -> None:
    runs.RunWriter(root / "future").begin(format_version=99)
    assert "99" in refreshed(root)["future"].problem


def test_a_failed_run_tells_the_error(root: Path) -> None:
    runs.a_diverged(root)
    assert "step 750" in refreshed(root)["too-hot"].error


def test_folders_that_are_no_runs_are_left_out(root: Path) -> None:
    (root / "notes").mkdir()
    (root / "README.md").write_text("x")
    assert refreshed(root) == {}


def test_a_folder_without_run_json_counts_only_after_a_while(root: Path) -> None:
    run = runs.RunWriter(root / "lost").begin().metrics(50)
    (run.path / "run.json").unlink()
    run.freeze(age=2)
    assert refreshed(root) == {}
    run.freeze(age=60)
    assert "run.json" in refreshed(root)["lost"].problem


def test_rows_appear_as_they_are_written(root: Path) -> None:
    run = runs.a_live(root, last=620)
    catalog = Catalog(root, lambda: runs.NOW)
    assert catalog.refresh()
    assert not catalog.refresh()
    run.metrics(700, first=630)
    assert catalog.refresh()
    assert catalog.summaries[0].step == 700


def test_a_heartbeat_alone_is_no_news(root: Path) -> None:
    run = runs.a_live(root)
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    run.status("running", pid=os.getpid(), age=0.5)
    assert not catalog.refresh()
    assert catalog.summaries[0].updated == pytest.approx(runs.NOW - 0.5)


def test_a_resumed_run_forgets_the_rows_that_were_cut(root: Path) -> None:
    run = runs.a_live(root, last=620)
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    (run.path / "metrics.jsonl").unlink()
    run.metrics(500)
    catalog.refresh()
    assert catalog.summaries[0].step == 500


def test_sizes_and_ages_of_checkpoints(root: Path) -> None:
    run = runs.a_finished(root)
    (run.path / "checkpoints/step-00001500/weights.safetensors").write_bytes(b"x" * 5000)
    run.freeze(3600)
    summary = refreshed(root)["encyclopedia"]
    state = (run.path / "checkpoints/step-00001500/state.json").stat().st_size
    assert summary.checkpoint_files[-1] == (5000 + state, runs.NOW - 3600)
    files = [path for path in run.path.rglob("*") if path.is_file()]
    marks = sum(
        (run.path / "checkpoints" / name).stat().st_size for name in ("best.json", "last.json")
    )
    assert summary.size == sum(path.stat().st_size for path in files) - marks
    assert summary.created_at is not None and not refreshed(root)["encyclopedia"].problem


def test_a_run_whose_trainer_is_on_its_way_has_a_row(root: Path) -> None:
    names = ["fresh-one"]
    catalog = Catalog(root, lambda: runs.NOW, lambda: names)
    assert catalog.refresh()
    (run,) = catalog.summaries
    assert (run.name, run.state, run.problem, run.is_live) == ("fresh-one", "starting", "", True)
    runs.a_finished(root, "fresh-one")
    catalog.refresh()
    assert catalog.summaries[0].state == "starting", (
        "a run that is resumed, until its trainer owns it"
    )
    names.clear()
    assert catalog.refresh() and catalog.summaries[0].state == "finished"


def test_hidden_folders_are_no_runs(root: Path) -> None:
    runs.a_finished(root, ".encyclopedia-1a2b.old")
    assert refreshed(root) == {}


def test_runs_come_and_go(root: Path) -> None:
    runs.a_finished(root)
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    runs.a_live(root)
    assert catalog.refresh()
    assert [item.name for item in catalog.summaries] == ["encyclopedia", "machado"]
    for path in sorted((root / "machado").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (root / "machado").rmdir()
    assert catalog.refresh()
    assert [item.name for item in catalog.summaries] == ["encyclopedia"]


def test_a_new_best_checkpoint_is_noticed(root: Path) -> None:
    run = runs.a_live(root)
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    run.checkpoints(250, 500, 750, best=750)
    catalog.refresh()
    assert [c.step for c in catalog.summaries[0].checkpoints if c.is_best] == [750]


def test_files_full_of_garbage(root: Path) -> None:
    run = runs.a_finished(root)
    for name in ("metrics.jsonl", "status.json", "checkpoints/best.json"):
        (run.path / name).write_bytes(
            b'\x00\xff{"step": []}\n[[[\n{"train_loss": "high", "step": {}}\n'
        )
    run.write_json("run.json", {"format_version": 1, "configuration": [], "parameters": "many"})
    summary = refreshed(root)["encyclopedia"]
    assert (summary.step, summary.train_loss, summary.parameters) == (None, None, None)
    assert summary.state == "unknown"


def test_a_time_budget_is_no_number_of_steps_yet(root: Path) -> None:
    from kgpt.config import UNLIMITED_STEPS

    run = runs.RunWriter(root / "timed", steps=UNLIMITED_STEPS).begin().metrics(50)
    run.status("running", pid=os.getpid())
    summary = refreshed(root)["timed"]
    assert (summary.steps, summary.progress, summary.seconds_left) == (None, None, None)
    run.steps = 900
    run.status("running", pid=os.getpid())
    assert refreshed(root)["timed"].steps == 900


def test_time_left(root: Path) -> None:
    runs.a_live(root, last=500)
    run = refreshed(root)["machado"]
    assert run.seconds_left == pytest.approx(1500 * 0.115)


def test_what_compiling_took_is_not_in_the_time_left(root: Path) -> None:
    run = runs.RunWriter(root / "slow-start", steps=1000).begin()
    run.status("running", pid=os.getpid())
    metrics = run.path / "metrics.jsonl"
    rows = [{"step": step, "seconds": 60 + step * 0.1, "train_loss": 5.0} for step in (10, 20, 30)]
    metrics.write_text(json.dumps(rows[0]) + "\n")
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    assert catalog.summaries[0].seconds_left is None, "one row has no pace"
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    catalog.refresh()
    assert catalog.summaries[0].seconds_left == pytest.approx(970 * 0.1)


def test_thinned_keeps_the_shape_in_bounded_space() -> None:
    thinned = Thinned(size=8)
    for number in range(100_000):
        thinned.add(float(number))
    values = thinned.values()
    assert 8 <= len(values) <= 17
    assert list(values) == sorted(values)
    assert values[0] < 10_000 and values[-1] > 85_000
