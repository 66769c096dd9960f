from __future__ import annotations

import json

import pytest

from kgpt.commands import main
from kgpt.config import TrainConfig
from kgpt.config_values import to_dict
from kgpt.files import append_json_line, write_json
from kgpt.runs import RunFolder


def add_run(root, name: str, state: str = "finished") -> RunFolder:
    run = RunFolder(root / name)
    run.path.mkdir(parents=True)
    configuration = to_dict(TrainConfig(steps=4000))
    write_json(run.run_file, {"format_version": 1, "configuration": configuration})
    row = {"step": 1500, "train_loss": 1.25, "tokens_per_second": 12345.6}
    append_json_line(run.metrics_file, row)
    for loss in (1.5, 1.75):
        evaluation = {"step": 1500, "validation_loss": loss, "bits_per_byte": loss / 2}
        append_json_line(run.metrics_file, evaluation)
    run.write_status(state)
    return run


@pytest.fixture
def kgpt_runs(tmp_path, capsys):
    def call(*arguments: str) -> str:
        assert main(["runs", "--saved-models", str(tmp_path), *arguments]) == 0
        return capsys.readouterr().out

    return call


def test_the_table(tmp_path, kgpt_runs):
    add_run(tmp_path, "demo")
    fresh = RunFolder(tmp_path / "fresh")
    fresh.path.mkdir()
    fresh.run_file.write_text("{")
    lines = kgpt_runs().splitlines()
    headings = "run state step train loss best validation bits/byte tokens/s"
    assert lines[0].split() == headings.split()
    assert lines[1].split() == [
        "demo",
        "finished",
        "1,500/4,000",
        "1.2500",
        "1.5000",
        "0.875",
        "12,346",
    ]
    assert lines[2].split() == ["fresh", "unknown", "0/0", "-", "-", "-", "-"]


def test_the_step_is_where_the_run_stopped_not_where_it_last_logged(tmp_path, kgpt_runs):
    add_run(tmp_path, "demo").write_status("stopped", step=1507, steps=4000)
    assert "1,507/4,000" in kgpt_runs()


def test_a_long_or_strange_name_stays_whole_on_its_line(tmp_path, kgpt_runs):
    names = ["x" * 90, "with [bold] in it"]
    for name in names:
        add_run(tmp_path, name)
    out = kgpt_runs()
    assert len(out.splitlines()) == 3
    assert all(f"{name} " in out for name in names) and out.count("12,346") == 2


def test_json(tmp_path, kgpt_runs):
    add_run(tmp_path, "demo")
    add_run(tmp_path, "other", "stopped")
    runs = json.loads(kgpt_runs("--json"))["runs"]
    assert [(run["name"], run["state"]) for run in runs] == [
        ("demo", "finished"),
        ("other", "stopped"),
    ]
    assert runs[0]["step"] == 1500 and runs[0]["steps"] == 4000
    assert runs[0]["train_loss"] == 1.25 and runs[0]["validation_loss"] == 1.75
    assert runs[0]["best_validation_loss"] == 1.5 and runs[0]["bits_per_byte"] == 0.875


def test_no_runs(tmp_path, kgpt_runs):
    assert "kgpt-train" in kgpt_runs() and str(tmp_path) in kgpt_runs()
    assert json.loads(kgpt_runs("--json")) == {"runs": []}


def test_the_environment_says_where_the_runs_are(tmp_path, capsys, monkeypatch):
    add_run(tmp_path, "demo")
    monkeypatch.setenv("KGPT_SAVED_MODELS", str(tmp_path))
    assert main(["runs"]) == 0
    assert "demo" in capsys.readouterr().out
