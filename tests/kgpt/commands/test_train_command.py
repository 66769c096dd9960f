"""`kgpt train` as a process of its own, and again in this one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kgpt.commands import main
from kgpt.config_values import dotted, from_dict
from kgpt.runs import RunFolder

TINY = (
    "--preset", "char-cpu", "--context-length", "16", "--batch-size", "4", "--steps", "12", "--evaluate-every", "6",
    "--checkpoint-every", "4", "--set", "model.num_layers=1", "--set", "model.num_heads=2",
    "--set", "model.width=16", "--set", "log_every=2", "--set", "optimizer.warmup_steps=2",
    "--set", "xla=off",
)  # fmt: skip
CONTRACT = {"run", "steps", "validation_loss", "bits_per_byte", "seconds", "tokens_per_second"}
TIMES = ("seconds", "tokens_per_second", "mfu")


def child(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kgpt", "train", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def timeless(run: RunFolder) -> list[dict]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in run.metrics()]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("saved_models")


@pytest.fixture(scope="module")
def trained(root, numbers) -> tuple[RunFolder, dict, str]:
    """A run that a child process trained, the object it printed, and what it said on stderr."""
    options = ("--run", "first", "--data", str(numbers), "--saved-models", str(root), "--json")
    process = child(*TINY, *options)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return RunFolder(root / "first"), json.loads(out.splitlines()[-1]), err


@pytest.fixture
def kgpt_train(root, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["train", *arguments, "--saved-models", str(root)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_the_object_of_the_contract(trained, root):
    run, result, _ = trained
    assert set(result) >= CONTRACT
    assert result["run"] == str(root / "first") and result["steps"] == 12
    evaluations = [row for row in run.metrics() if "validation_loss" in row]
    assert result["validation_loss"] == evaluations[-1]["validation_loss"]
    assert result["bits_per_byte"] == evaluations[-1]["bits_per_byte"]
    assert result["tokens_per_second"] > 0 and result["seconds"] > 0


def test_the_options_are_what_the_run_keeps(trained, numbers):
    values = dotted(from_dict(trained[0].configuration()))
    expected = {
        "run": "first", "data": str(numbers), "steps": 12, "batch_size": 4, "evaluate_every": 6,
        "checkpoint_every": 4, "log_every": 2, "model.context_length": 16, "model.num_layers": 1,
        "model.num_heads": 2, "model.width": 16, "model.vocabulary_size": 257,
        "optimizer.warmup_steps": 2, "optimizer.beta_2": 0.99,
    }  # fmt: skip
    assert {key: values[key] for key in expected} == expected


def test_progress_goes_to_stderr_and_native_notes_nowhere(trained):
    err = trained[2]
    assert "12/12" in err and "validation loss" in err and "best so far" in err
    assert "parameters;" in err
    assert "cuda" not in err and "oneDNN" not in err and "Traceback" not in err


def test_the_run_file_trains_the_same_again(trained, kgpt_train):
    run, first, _ = trained
    code, out, _ = kgpt_train("--config", str(run.run_file), "--run", "again", "--json")
    again = json.loads(out)
    assert code == 0 and again["validation_loss"] == first["validation_loss"]
    copy = RunFolder(Path(again["run"]))
    assert timeless(copy) == timeless(run)
    assert copy.configuration() == {**run.configuration(), "run": "again"}


def test_a_run_goes_on_with_more_steps_and_says_when_it_has_finished(trained, kgpt_train):
    options = ("--run", "first", "--resume")
    code, out, _ = kgpt_train(*options)
    assert code == 0 and "has finished all its 12 steps" in out
    code, out, _ = kgpt_train(*options, "--steps", "16")
    assert code == 0 and "after 16 steps" in out and "kgpt sample first" in out
    assert trained[0].status()["step"] == 16
    assert "has finished all its 16 steps" in kgpt_train(*options)[1]
    assert [row["step"] for row in trained[0].metrics() if "train_loss" in row] == list(
        range(2, 17, 2)
    )


def test_a_run_that_exists_is_left_alone(trained, kgpt_train, numbers):
    before = trained[0].metrics_file.read_bytes()
    code, out, err = kgpt_train("--run", "first", "--data", str(numbers))
    assert (code, out) == (2, "") and "--run first --resume" in err
    assert trained[0].metrics_file.read_bytes() == before


@pytest.mark.parametrize(
    ("data", "words"),
    [("nowhere", "kgpt prepare"), ("short", "shorter than one context")],
)
def test_data_that_cannot_be_trained_on(kgpt_train, root, tmp_path, data, words):
    if data == "short":
        from kgpt.text.prepare import prepare

        (tmp_path / "short.txt").write_text("um texto curto.\n\noutro texto curto.")
        given = {"tokenizer": "bytes", "documents": "blank-line"}
        prepare([tmp_path / "short.txt"], tmp_path / "short", **given)
    code, out, err = kgpt_train("--run", "new", "--data", str(tmp_path / data))
    assert (code, out) == (2, "") and words in err and "Traceback" not in err
    assert not (root / "new").exists()


def test_ctrl_c_saves_everything_and_says_how_to_go_on(root, numbers):
    options = ("--run", "long", "--data", str(numbers), "--saved-models", str(root))
    process = child(*TINY, *options, "--steps", "100000")
    run = RunFolder(root / "long")
    deadline = time.monotonic() + 120
    while not run.metrics() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "everything is saved" in out and "kgpt-train --run long --resume" in out
    assert "Traceback" not in err
    step = run.status()["step"]
    assert run.status()["state"] == "stopped" and run.checkpoint("last").step == step
