"""A sweep: its file, its runs, going on with it. The search is Optuna's; the runs are ordinary ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kgpt.commands import main
from kgpt.commands.sweep import Trial, best_first, read_sweep
from kgpt.config_values import dotted, from_dict
from kgpt.errors import KgptError
from kgpt.runs import RunFolder

SEARCH = """
trials = 3
[search]
"model.num_heads" = [2, 5]
[search.optimizer]
learning_rate = {low = 1e-4, high = 1e-1, log = true}
warmup_steps = {low = 0, high = 4}
"""
TINY = (
    "--preset", "char-cpu", "--context-length", "16", "--batch-size", "4", "--steps", "4", "--evaluate-every", "2",
    "--set", "model.num_layers=1", "--set", "model.width=16", "--set", "model.num_heads=2", "--set", "xla=off",
)  # fmt: skip


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "search.toml"
    path.write_text(SEARCH)
    return path


def test_a_sweep_trains_ordinary_runs_and_knows_them_again(file, tmp_path, numbers, capsys):
    arguments = ["train", *TINY, "--data", str(numbers), "--run", "search", "--sweep", str(file)]
    arguments += ["--saved-models", str(tmp_path / "runs")]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert sorted(trial["run"] for trial in result["trials"]) == [
        f"search-00{n}" for n in (1, 2, 3)
    ]
    for trial in result["trials"]:
        run = RunFolder(tmp_path / "runs" / trial["run"])
        if trial["loss"] is None:  # five heads do not divide a width of sixteen
            assert trial["values"]["model.num_heads"] == 5 and not run.exists()
            continue
        values = dotted(from_dict(run.configuration()))
        assert {key: values[key] for key in trial["values"]} == trial["values"]
        losses = [r["validation_loss"] for r in run.metrics() if "validation_loss" in r]
        assert trial["loss"] == min(losses)
    done = [trial for trial in result["trials"] if trial["loss"] is not None]
    assert len(done) >= 1 and done == sorted(done, key=lambda trial: trial["loss"])
    # the same command again trains nothing and chooses the same values, and a fourth trial goes on from there
    before = (tmp_path / "runs" / done[0]["run"] / "metrics.jsonl").stat().st_mtime_ns
    file.write_text(SEARCH.replace("trials = 3", "trials = 4"))
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert (tmp_path / "runs" / done[0]["run"] / "metrics.jsonl").stat().st_mtime_ns == before
    assert table.index("best validation") < table.index(done[0]["run"]) and "search-004" in table
    file.write_text(SEARCH.replace("low = 1e-4", "low = 1e-3"))
    assert main(arguments) == 2 and "this sweep would try" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("trials = 3", "trials = 0"), "trials must be"),
        (("trials", "trails"), "trials, seed and search"),
        (("learning_rate", "learning_rat"), "Did you mean optimizer.learning_rate"),
        (("[2, 5]", "[]"), "list of values"),
        (("high = 4", "high = 0"), "low below high"),
        (("low = 1e-4", "low = 0"), "begins above 0"),
        (("[search]", "[find]"), "find"),
        (('"model.num_heads"', '"seed"'), "seed cannot be searched"),
        (("[2, 5]", "[2, 5"), "search.toml"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(file, change, words):
    file.write_text(SEARCH.replace(*change))
    with pytest.raises(KgptError) as caught:
        read_sweep(file)
    assert words in caught.value.message and caught.value.exit_code == 2


def test_a_file_says_what_to_search(file):
    sweep = read_sweep(file)
    assert (sweep.trials, sweep.seed) == (3, 1)
    assert set(sweep.search) == {
        "model.num_heads",
        "optimizer.learning_rate",
        "optimizer.warmup_steps",
    }


def test_the_best_comes_first_and_failures_last():
    trials = [Trial("a", {}, 2.0), Trial("b", {}, None), Trial("c", {}, 1.0)]
    assert [trial.run for trial in best_first(trials)] == ["c", "a", "b"]


def test_a_sweep_does_not_go_with_resume(file, tmp_path, capsys):
    (tmp_path / "runs").mkdir()
    arguments = [
        "train",
        "--sweep",
        str(file),
        "--resume",
        "--saved-models",
        str(tmp_path / "runs"),
    ]
    assert main(arguments) == 2
    assert "resume" in capsys.readouterr().err
