from __future__ import annotations

import hashlib
import json
import math
import shutil
import sys

import numpy as np
import pytest
from tiny import TEXT

from kgpt.commands import main, measures
from kgpt.files import write_json
from kgpt.model.tensors import WEIGHTS_FILE, load_tensors, save_tensors
from kgpt.runs import RunFolder
from kgpt.text.prepare import prepare


@pytest.fixture(scope="module")
def runs(tiny_run, tmp_path_factory):
    """A folder of two runs: `tiny` knows `tiny.TEXT`; `worse` too, but its newer last checkpoint is spoilt."""
    root = tmp_path_factory.mktemp("evaluated")
    for name in ("tiny", "worse"):
        shutil.copytree(tiny_run.path, root / name)
    worse = RunFolder(root / "worse")
    checkpoint = worse.checkpoints_folder / "step-00000020"
    checkpoint.mkdir()
    tensors = load_tensors(worse.checkpoint("10").path / WEIGHTS_FILE)
    random = np.random.default_rng(1)
    noisy = {
        name: value + random.normal(0, 0.05, value.shape).astype(value.dtype)
        for name, value in tensors.items()
    }
    save_tensors(checkpoint / WEIGHTS_FILE, noisy, {})
    digest = hashlib.sha256((checkpoint / WEIGHTS_FILE).read_bytes()).hexdigest()
    write_json(checkpoint / "state.json", {"step": 20, "sha256": {WEIGHTS_FILE: digest}})
    write_json(worse.checkpoints_folder / "last.json", {"step": 20})
    return root


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The text that the runs know, the same as prepared data, and prompts with answers."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "known.txt").write_text(TEXT, encoding="utf-8")
    (folder / "two.txt").write_text(f"outro\n{TEXT}", encoding="utf-8")
    prepare(
        [folder / "two.txt"], folder / "data", tokenizer="bytes", documents="line",
        validation="tail", validation_fraction=0.99,
    )  # fmt: skip
    prepare([folder / "two.txt"], folder / "bpe", vocabulary_size=260)
    prompts = [
        {"prompt": "Olá, ", "answer": "coração", "subject": "start"},
        {"prompt": "Olá, coração! A maçã é ", "answer": "vermelha"},
        {"prompt": "Olá, coração! A maçã é ", "answer": "verde"},
    ]
    lines = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
    (folder / "prompts.jsonl").write_text(lines)
    return folder


@pytest.fixture
def evaluate(runs, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["evaluate", *map(str, arguments), "--saved-models", str(runs)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def kept(runs, name: str) -> list[dict]:
    path = runs / name / "evaluations.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_text_is_measured_and_the_result_kept(evaluate, runs, files):
    before = kept(runs, "tiny")
    code, out, _ = evaluate("tiny", "--text", files / "known.txt", "--json")
    result = json.loads(out.splitlines()[-1])
    assert code == 0 and 0 < result["loss"] < 0.1
    assert result["tokens"] == result["bytes"] == len(TEXT.encode())
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]))
    assert result["bits_per_byte"] == pytest.approx(result["loss"] / math.log(2))
    assert (result["run"], result["step"]) == ("tiny", 10)
    (row,) = kept(runs, "tiny")[len(before) :]
    assert row.pop("time") and row == result


def test_a_text_long_enough_to_be_compiled_has_the_loss_of_any_other(
    evaluate, files, tmp_path, monkeypatch
):
    (tmp_path / "long.txt").write_text(TEXT * 200, encoding="utf-8")
    results, usual = [], measures.XLA_FROM
    for xla_from in (usual, sys.maxsize):
        monkeypatch.setattr(measures, "XLA_FROM", xla_from)
        code, out, _ = evaluate("tiny", "--text", tmp_path / "long.txt", "--json")
        assert code == 0
        results.append(json.loads(out.splitlines()[-1]))
    compiled, plain = results
    assert compiled["tokens"] == plain["tokens"] > usual
    assert compiled["loss"] == pytest.approx(plain["loss"], rel=1e-5)


def test_a_decoder_measures_what_it_writes_with(evaluate, files):
    losses = {}
    for decoder in (None, "keras", "litert", "litert-int8"):
        chosen = ["--decoder", decoder] if decoder else []
        code, out, _ = evaluate("tiny", "--text", files / "known.txt", "--json", *chosen)
        result = json.loads(out.splitlines()[-1])
        assert code == 0
        assert result.get("decoder") == decoder
        losses[decoder] = result["loss"]
    assert losses["keras"] == losses[None]
    assert losses["litert"] == pytest.approx(losses["keras"], rel=1e-3)
    assert losses["litert-int8"] != losses["litert"]
    assert losses["litert-int8"] == pytest.approx(losses["litert"], abs=0.05)


def test_two_runs_and_their_checkpoints_are_compared(evaluate, files):
    both = ("tiny", "worse", "--text", files / "known.txt", "--json")
    best = json.loads(evaluate(*both)[1])["evaluations"]
    assert [item["run"] for item in best] == ["tiny", "worse"]
    assert best[0]["loss"] == best[1]["loss"]
    last = json.loads(evaluate(*both, "--checkpoint", "last")[1])["evaluations"]
    assert [item["step"] for item in last] == [10, 20]
    assert last[1]["loss"] > 2 * last[0]["loss"]


def test_prepared_data_counts_the_end_of_each_document(evaluate, files):
    code, out, _ = evaluate("tiny", "--data", files / "data", "--json")
    result = json.loads(out)
    assert code == 0 and result["source"] == str(files / "data")
    assert result["bytes"] == len(TEXT.encode()) == result["tokens"] - 1
    assert result["loss"] < 0.1


def test_without_options_it_is_the_validation_split_of_the_run_s_data(evaluate, runs, files):
    shutil.copytree(runs / "tiny", runs / "trained")
    run = RunFolder(runs / "trained")
    write_json(run.run_file, {**run.read(), "data": {"path": str(files / "data")}})
    code, out, _ = evaluate("trained")
    heading, row = out.splitlines()
    assert code == 0
    assert heading.split() == "run step loss perplexity bits per byte tokens bytes".split()
    assert row.split()[:2] == ["trained", "10"] and row.split()[-1] == str(len(TEXT.encode()))
    assert kept(runs, "trained")[-1]["source"] == str(files / "data")


def test_completions_with_known_answers(evaluate, runs, files):
    options = ("tiny", "--task", "completion", "--file", files / "prompts.jsonl")
    code, out, _ = evaluate(*options, "--json")
    result = json.loads(out)
    assert code == 0 and result["task"] == "completion" and result["prompts"] == 3
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert result["by_subject"] == {
        "-": {"right": 1, "prompts": 2}, "start": {"right": 1, "prompts": 1},
    }  # fmt: skip
    assert kept(runs, "tiny")[-1]["accuracy"] == result["accuracy"]
    _, out, _ = evaluate(*options)
    assert "tiny: 66.7% of 3 answers right" in out.splitlines()[-1]
    assert out.splitlines()[2].split()[:3] == ["start", "1", "1"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "There is no run 'nobody'"),
        (["tiny", "nobody"], "There is no run 'nobody'"),
        (["tiny"], "--data DIR or --text FILE"),
        (["tiny", "--text", "a", "--data", "b"], "exclude each other"),
        (["tiny", "--task", "completion"], "--task completion needs --file"),
        (["tiny", "--file", "a"], "--task completion needs --file"),
        (["tiny", "--task", "encyclopedia", "--file", "a"], "neither a loss nor encyclopedia"),
        (["tiny", "--task", "completion", "--file", "nowhere.jsonl"], "nowhere.jsonl"),
        (["tiny", "--checkpoint", "30"], "It has steps 10."),
        (["tiny", "--text", "nowhere.txt"], "nowhere.txt"),
        (["tiny", "--data", "nowhere"], "There is no nowhere."),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_mistakes(evaluate, runs, arguments, words):
    before = kept(runs, "tiny")
    code, out, err = evaluate(*arguments)
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 3 and "Traceback" not in err
    assert kept(runs, "tiny") == before


def test_another_tokenizer_is_refused(evaluate, files):
    code, _, err = evaluate("tiny", "--data", files / "bpe")
    assert code == 2 and "another tokenizer" in err and "--text" in err


def test_a_damaged_checkpoint_is_a_failure(evaluate, runs, files):
    shutil.copytree(runs / "tiny", runs / "cut")
    path = RunFolder(runs / "cut").checkpoint().path / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-100])
    code, out, err = evaluate("cut", "--text", files / "known.txt")
    assert (code, out) == (1, "") and "Damaged" in err and "--checkpoint" in err
