"""All metrics of a run, a page of them at a time."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
import pytest
from pilots import MakeApp, until

from workbench.app import WorkbenchApp
from workbench.history import MAX_METRICS, History
from workbench.widgets.strips import Strips, pages_of

FOREIGN = ("validation_accuracy", "mfu", "expert_balance", "loss_scale", "z_loss")


def strips(app: WorkbenchApp) -> str:
    return str(app.screen.query_one(Strips).render())


@pytest.fixture
def foreign(root: Path) -> runs.RunWriter:
    """A finished run with more metrics than fit on a page."""
    run = runs.RunWriter(root / "foreign").begin()
    add_foreign(run)
    return run.status("finished").freeze()


def add_foreign(run: runs.RunWriter, last: int = 300) -> None:
    """Rows with more metrics than every run has, and with what is none."""
    rows = [
        {
            **run.row(step),
            **{name: place + step / 100 for place, name in enumerate(FOREIGN)},
            "loss_scale": 65536.0,
            "host": "a text",
            "is_warm": True,
            "never": None,
        }
        for step in range(10, last + 1, 10)
    ]
    run.append("metrics.jsonl", *rows)


def test_a_history_keeps_every_metric_that_is_a_number() -> None:
    history = History()
    history.extend([{"step": 1, "train_loss": 3.0, "host": "a text", "never": None}])
    assert history.metrics == []
    history.extend([{"step": 2, "train_loss": 2.0, "balance": None, "flag": True}])
    history.extend(
        [{"step": 3, "balance": 0.25, "learning_rate": 0.1}, {"step": 4, "balance": 0.5}]
    )
    assert history.metrics == ["learning_rate", "balance"]
    x, y = history.means("balance", "step")
    assert (x.tolist(), y.tolist()) == ([3, 4], [0.25, 0.5])


def test_a_foreign_file_with_countless_fields_stays_bounded() -> None:
    history = History()
    history.extend([{"step": step, f"m{step}": 1.0} for step in range(1000)])
    assert len(history.metrics) <= MAX_METRICS


def test_each_metric_stands_on_one_page() -> None:
    usual = ["learning_rate", "gradient_norm", "tokens_per_second", "gap"]
    assert [len(page) for page in pages_of(usual)] == [4]
    pages = pages_of([*usual, *FOREIGN, "gpu_memory"])
    assert [len(page) for page in pages] == [5, 4, 1]
    found = [strip.metric for page in pages for strip in page]
    assert sorted(found) == sorted([*usual, *FOREIGN, "gpu_memory"])


async def test_n_and_p_turn_the_pages(make_app: MakeApp, foreign: runs.RunWriter) -> None:
    app = make_app(run_name="foreign")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "learning rate" in strips(app) and "1/3" in strips(app))
        await pilot.press("N")
        shown = strips(app)
        assert "bits per byte" in shown and "accuracy 3" in shown and "utilisation 4" in shown
        assert "expert balance 5" in shown and "2/3" in shown and "▁" in shown and "█" in shown
        await pilot.press("N")
        assert "loss scale 65.5k" in strips(app) and "z loss 7" in strips(app)
        await pilot.press("N")
        assert "learning rate" in strips(app), "after the last comes the first"
        await pilot.press("P")
        assert "3/3" in strips(app)
        every = strips(app)
        for name in ("host", "warm", "never"):
            assert name not in every
        foreign.append("metrics.jsonl", {**foreign.row(310), "z_loss": 99.0})
        await until(pilot, lambda: "z loss 99" in strips(app))


@pytest.mark.usefixtures("foreign")
async def test_a_click_turns_too(make_app: MakeApp) -> None:
    app = make_app(run_name="foreign")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1/3" in strips(app))
        widget = app.screen.query_one(Strips)
        line = strips(app).splitlines()[1]
        assert len(line) == widget.size.width
        await pilot.click(Strips, offset=(line.index("▸N"), 1))
        await until(pilot, lambda: "2/3" in strips(app))
        await pilot.click(Strips, offset=(line.index("P◂"), 1))
        await until(pilot, lambda: "1/3" in strips(app))


async def test_a_run_with_nothing_more_has_no_pages(make_app: MakeApp, root: Path) -> None:
    run = runs.RunWriter(root / "plain").begin()
    rows = [run.row(step) for step in range(10, 200, 10)]
    run.append("metrics.jsonl", *rows)
    run.status("finished").freeze()
    app = make_app(run_name="plain")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "tokens/s 1" in strips(app))
        assert "1/1" not in strips(app) and "▸N" not in strips(app)
        await pilot.press("N")
        assert "learning rate" in strips(app)
