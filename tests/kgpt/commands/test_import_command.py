"""An imported run is a run like any other: listed, sampled, measured, reported, trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from foreign_models import TEXT, gpt2_logits, gpt2_tensors, tokenizer, write_gpt2
from safetensors.numpy import load_file

from kgpt.commands import main
from kgpt.runs import RunFolder

WORDS = tokenizer()
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """The run `new`, and the folder of runs as every command's own."""
    monkeypatch.setenv("KGPT_SAVED_MODELS", str(tmp_path / "runs"))
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    source = write_gpt2(tmp_path / "gpt2", gpt2_tensors(WORDS.vocabulary_size))
    assert main(["import", str(source), "--run", "new"]) == 0
    return RunFolder(tmp_path / "runs" / "new")


@pytest.fixture
def data(run: RunFolder, tmp_path: Path) -> str:
    """Text of the run's own tokenizer."""
    (tmp_path / "text.txt").write_text("\n\n".join(f"{number} {TEXT}" for number in range(40)))
    command = ["prepare", str(tmp_path / "text.txt"), "--output", str(tmp_path / "data" / "mine")]
    assert main([*command, "--tokenizer", str(run.path), "--documents", "blank-line"]) == 0
    return "mine"


def last_line(capsys: Captured) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_what_the_command_reports(run: RunFolder, tmp_path: Path, capsys: Captured) -> None:
    assert main(["import", str(tmp_path / "gpt2"), "--run", "again"]) == 0
    shown = capsys.readouterr().out
    assert "11,776 parameters, 300 tokens, context 24" in shown and "kgpt sample again" in shown
    options = ["--context-length", "12", "--add-token", "user", "--json"]
    assert main(["import", str(tmp_path / "gpt2"), "--run", "other", *options]) == 0
    reported = last_line(capsys)
    assert reported["context_length"] == 12
    assert reported["vocabulary_size"] == 301
    assert reported["run"] == str(tmp_path / "runs" / "other")
    assert reported["source"]["path"] == str(tmp_path / "gpt2")


def test_it_is_listed_sampled_measured_and_reported(
    run: RunFolder, tmp_path: Path, capsys: Captured
) -> None:
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    (listed,) = last_line(capsys)["runs"]
    assert (listed["name"], listed["state"], listed["parameters"]) == ("new", "finished", 11776)
    ids = WORDS.encode("Marte é")
    for _ in range(6):
        ids.append(int(gpt2_logits(gpt2_tensors(WORDS.vocabulary_size), ids)[-1].argmax()))
    options = ["--temperature", "0", "--max-tokens", "6", "--decoder", "keras", "--json"]
    assert main(["sample", "new", "Marte é", *options]) == 0
    assert last_line(capsys)["ids"] == ids[-6:]
    (tmp_path / "short.txt").write_text(TEXT[:60])
    assert main(["evaluate", "new", "--text", str(tmp_path / "short.txt"), "--json"]) == 0
    assert last_line(capsys)["loss"] > 1
    assert main(["evaluate", "new"]) == 2
    assert "Give --data DIR or --text FILE" in capsys.readouterr().err
    assert main(["report", "new"]) == 0


def test_the_workbench_shows_it(run: RunFolder, capsys: Captured) -> None:
    import workbench

    capsys.readouterr()
    assert workbench.main(["--once"]) == 0
    (row,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("new"))
    assert "finished" in row and "2,000" not in row


def test_training_begins_with_the_imported_weights(
    run: RunFolder, data: str, tmp_path: Path, capsys: Captured
) -> None:
    first = load_file(run.checkpoint().path / "weights.safetensors")
    options = ["--data", data, "--steps", "6", "--batch-size", "4", "--learning-rate", "1e-3"]
    for change in ("optimizer.warmup_steps=0", "optimizer.ema_decay=0.9", "xla=off", "log_every=1"):
        options += ["--set", change]
    assert main(["train", "--run", "new", "--resume", *options]) == 0
    about = run.read()
    assert about["source"]["format"] == "Hugging Face gpt2"
    assert about["data"]["train_tokens"] > 100
    assert [item.step for item in run.checkpoints()] == [0, 6]
    losses = [row["train_loss"] for row in run.metrics() if "train_loss" in row]
    assert len(losses) == 6 and losses[-1] < losses[0] - 0.01
    trained = load_file(run.checkpoint("last").path / "weights.safetensors")
    moved = max(float(np.abs(trained[name] - first[name]).max()) for name in first)
    assert 1e-3 < moved < 6 * 1e-3 * 1.2  # six steps of AdamW from there, and not from elsewhere
    averaged = load_file(run.checkpoint("last").path / "ema.safetensors")
    assert averaged.keys() == first.keys()
    for name, value in first.items():
        np.testing.assert_allclose(averaged[name], value, atol=moved)
    capsys.readouterr()
    assert main(["train", "--run", "new", "--resume", "--batch-size", "8"]) == 2
    assert "batch_size was 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ([], "Say on what, and how long"),
        (["--steps", "3"], "Say on what, and how long"),
        (["--data", "mine", "--set", "model.num_layers=3"], "A resumed run keeps"),
        (["--data", "other"], "kgpt prepare ... --tokenizer"),
    ],
)
def test_training_that_cannot_begin(
    run: RunFolder, data: str, tmp_path: Path, capsys: Captured, options: list[str], word: str
) -> None:
    output = str(tmp_path / "data" / "other")
    prepare = ["prepare", str(tmp_path / "text.txt"), "--output", output, "--tokenizer", "bytes"]
    assert main(prepare) == 0
    before = (run.run_file).read_bytes()
    assert main(["train", "--run", "new", "--resume", *options]) == 2
    assert word in capsys.readouterr().err
    assert run.run_file.read_bytes() == before
    assert [item.step for item in run.checkpoints()] == [0]
