"""`kgpt finetune classify` and `kgpt classify`, as a user calls them."""

from __future__ import annotations

import io
import json
import math

import pytest
from tiny import MODERN_SHAPE, write_run

from kgpt.commands import main
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

QUICK = (
    "--batch-size", "8", "--epochs", "3", "--learning-rate", "0.01", "--set", "optimizer.warmup_steps=2",
    "--set", "xla=off", "--set", "log_every=2", "--split", "0.6,0.2,0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of runs with the base `base`, beside a file of messages."""
    from kgpt.model.gpt import build_gpt

    folder = tmp_path_factory.mktemp("root")
    write_run(folder / "runs" / "base", build_gpt(MODERN_SHAPE, seed=1), Tokenizer.bytes())
    rows = [f"ham\tsee you at {n}, {'dear ' * (n % 4)}ok" for n in range(20)]
    rows += [f"spam\twin {n} now {'!' * (n % 5)}" for n in range(20)]
    (folder / "sms.txt").write_text("See you.\n")
    (folder / "sms.tsv").write_text("\n".join([*rows, rows[0], "ham\t "]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def kgpt(root, capsys, monkeypatch):
    def call(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([*arguments, "--saved-models", str(root / "runs")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def finetune(kgpt, root):
    def call(name: str, *options: str, data=None, base="base"):
        file = str(data or root / "sms.tsv")
        return kgpt("finetune", "classify", base, "--data", file, "--run", name, *options)

    return call


@pytest.fixture(scope="module")
def spam(root):
    """What a call said that made the classifier `spam`."""
    from contextlib import redirect_stdout

    out = io.StringIO()
    with redirect_stdout(out):
        folder = str(root / "runs")
        options = ("--data", str(root / "sms.tsv"), "--run", "spam", "--saved-models", folder)
        code = main(["finetune", "classify", "base", *options, *QUICK])
    assert code == 0
    return out.getvalue()


def test_what_was_read_and_what_came_out_is_shown(spam):
    assert "42 rows: text in '2', label in '1'; 2 labels." in spam
    assert "Left out: 1 × empty text, 1 × copy." in spam
    table = [line.split() for line in spam.splitlines()]
    assert ["ham", "12", "4", "4"] in table and ["all", "24", "8", "8"] in table
    assert "Tokens a text: median" in spam and "the model reads 40." in spam
    assert sum("→" in line and " tokens  " in line for line in spam.splitlines()) == 3
    assert "spam, step 9, test part: accuracy 100.00% of 8, macro F1 1.0000" in spam
    assert ["ham", "1.0000", "1.0000", "1.0000", "4", "4", "0"] in table
    assert 'kgpt classify spam "your text"' in spam


def test_texts_are_labelled(spam, kgpt):
    code, out, _ = kgpt("classify", "spam", "win 77 now !!", "see you at 77, dear ok", "--json")
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert (result["run"], result["step"]) == ("spam", 9)
    assert [item["label"] for item in result["results"]] == ["spam", "ham"]
    for item in result["results"]:
        assert set(item) == {"text", "label", "probabilities"}
        assert set(item["probabilities"]) == {"ham", "spam"}
        assert math.isclose(sum(item["probabilities"].values()), 1, rel_tol=1e-5)
    _, shown, _ = kgpt("classify", "spam", "win 77 now !!")
    assert shown.splitlines()[-1].split()[0] == "spam" and "win 77 now !!" in shown


def test_files_and_standard_input_have_a_text_a_line(spam, kgpt, tmp_path):
    texts = "win 77 now !!\n\nsee you at 77, olá\r\n"
    (tmp_path / "texts.txt").write_bytes(texts.encode())
    _, out, _ = kgpt("classify", "spam", "--file", str(tmp_path / "texts.txt"), "--json")
    result = json.loads(out)
    assert [item["text"] for item in result["results"]] == ["win 77 now !!", "see you at 77, olá"]
    _, out, _ = kgpt("classify", "spam", "--file", "-", "--json", stdin=texts.encode())
    assert json.loads(out) == result


def test_thresholds_and_checkpoints_change_what_is_given(spam, kgpt):
    def labels(*options):
        _, out, _ = kgpt("classify", "spam", "win 77 now", "see you, ok", *options, "--json")
        return [item["label"] for item in json.loads(out)["results"]]

    assert labels() == ["spam", "ham"]
    assert labels("--threshold", "1") == [None, None]
    assert labels("--threshold", "spam=0") == ["spam", "spam"]
    _, out, _ = kgpt("classify", "spam", "win", "--checkpoint", "6", "--json")
    assert json.loads(out)["step"] == 6


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        (("nobody", "x"), "Unknown run"),
        (("base", "x"), "No classifier"),
        (("spam",), "No texts"),
        (("spam", "x", "--file", "y"), "Texts twice"),
        (("spam", "--file", "nothing.txt"), "File not readable"),
        (("spam", "x", "--threshold", "2"), "Bad threshold"),
        (("spam", "x", "--threshold", "=0.5"), "Bad threshold"),
        (("spam", "x", "--threshold", "eggs=0.5"), "Unknown label"),
        (("spam", "x", "--checkpoint", "77"), "77"),
    ],
)
def test_mistakes_of_classify_are_told_in_three_lines(spam, kgpt, arguments, title):
    code, out, err = kgpt("classify", *arguments)
    assert (code, out) == (2, "")
    told = [line for line in err.splitlines() if line and not line.startswith("·")]
    assert title in err and "Traceback" not in err and len(told) <= 5


def test_a_file_that_is_not_utf8_is_refused(spam, kgpt, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"ol\xe1\n")
    code, _, err = kgpt("classify", "spam", "--file", str(tmp_path / "a.txt"))
    assert code == 2 and "byte 2 is 0xE1" in err


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "spam", "Oi"),
        ("sample", "spam", "Oi", "--decoder", "keras"),
        ("evaluate", "spam", "--text", "sms.txt"),
        ("export", "spam", "--format", "saved-model", "--output", "out", "--top-k", "3"),
        ("finetune", "classify", "spam", "--data", "sms.tsv", "--run", "other"),
    ],
)
def test_what_writes_refuses_a_classifier_in_one_sentence(spam, kgpt, root, monkeypatch, command):
    monkeypatch.chdir(root)
    code, _, err = kgpt(*command)
    assert code == 2
    assert "A classifier writes no text" in err and 'kgpt classify spam "your text"' in err
    assert not (root / "out").exists() and not (root / "runs" / "other").exists()


def test_options_of_training_reach_the_run(finetune, root):
    options = (
        "--lora-rank", "2", "--lora-alpha", "3", "--lora-dropout", "0.1", "--lora-targets", "query,value",
        "--pooling", "mean", "--head-dropout", "0.2", "--max-length", "20", "--class-weights",
        "--dropout", "0.1", "--label-smoothing", "0.05", "--steps", "4", "--evaluate-every", "2",
        "--checkpoint-every", "2", "--keep", "1", "--early-stopping", "0", "--seed", "5",
        "--precision", "float32", "--balance", "--tensorboard",
    )  # fmt: skip
    quick = [item for item in QUICK if item not in ("--epochs", "3")]
    code, out, _ = finetune("options", *quick, *options, "--json")
    assert code == 0
    result = json.loads(out.splitlines()[-1])
    assert (
        result["steps"] == 4
        and result["finished"]
        and set(result["test"]["by_label"]) == {"ham", "spam"}
    )
    run = RunFolder(root / "runs" / "options")
    assert result["run"] == str(run.path)
    values = run.read()
    finetuning = values["finetuning"]
    assert finetuning["lora"] == {
        "rank": 2, "alpha": 3.0, "dropout": 0.1, "targets": ["query", "value"],
    }  # fmt: skip
    chosen = {key: finetuning[key] for key in ("pooling", "head_dropout", "max_length")}
    assert chosen == {"pooling": "mean", "head_dropout": 0.2, "max_length": 20}
    assert finetuning["class_weights"] and finetuning["balance"]
    assert finetuning["shares"] == ["0.6", "0.2", "0.2"]
    configuration = values["configuration"]
    assert configuration["model"]["dropout"] == 0.1
    assert (configuration["label_smoothing"], configuration["seed"]) == (0.05, 5)
    assert [row["step"] for row in run.metrics() if "validation_loss" in row] == [2, 4]
    assert len(run.checkpoints()) <= 2
    assert (run.path / "tensorboard").is_dir() and (run.adapter_folder / "adapter.json").is_file()


def test_a_finished_run_goes_on_with_more_steps(finetune, kgpt, root):
    assert finetune("more", *QUICK[:-4], "--steps", "2", "--epochs", "0")[0] == 0
    code, out, _ = kgpt(
        "finetune", "classify", "--run", "more", "--resume", "--steps", "5", "--json"
    )
    assert code == 0 and json.loads(out.splitlines()[-1])["steps"] == 5
    for options, what in (
        (("--learning-rate", "1"), "--learning-rate"),
        (("--lora-rank", "2"), "--lora-rank"),
        (("--data", "x.tsv"), "--data"),
        (("--seed", "3"), "--seed"),
    ):
        code, _, err = kgpt("finetune", "classify", "--run", "more", "--resume", *options)
        assert code == 2 and what in err and "--steps" in err
    code, _, err = kgpt("finetune", "classify", "base", "--run", "more", "--resume")
    assert code == 2 and "The base base cannot be given with --resume" in err
    code, _, err = kgpt("finetune", "classify", "--run", "base", "--resume")
    assert code == 2 and "No classifier" in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--split", "0.5,0.5"), "split must be three shares"),
        (("--split", "0.9,0.2,0.1"), "split must be three shares"),
        (("--train-layers", "top"), "train_layers must be all, head or last-N"),
        (("--train-layers", "head", "--lora-rank", "2"), "train_layers"),
        (("--lora-rank", "99"), "Rank too high"),
        (("--lora-rank", "2", "--lora-targets", "querry"), "lora.targets"),
        (("--head-dropout", "1"), "head_dropout"),
        (("--text-field", "body"), "there is no field 'body'"),
        (("--checkpoint", "77"), "77"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--set", "gradient_accumulation=2"), "gradient_accumulation=2"),
        (("--set", "nonsense=2"), "nonsense"),
    ],
)
def test_mistakes_of_finetune_leave_nothing_behind(finetune, root, options, told):
    code, _, err = finetune("bad", *QUICK, *options)
    assert code == 2 and told in err and "Traceback" not in err
    assert not (root / "runs" / "bad").exists()


def test_bad_data_leaves_nothing_behind(finetune, kgpt, root, tmp_path):
    (tmp_path / "one.tsv").write_text("ham\ta\nham\tb\n")
    (tmp_path / "broken.tsv").write_text("ham\ta\nspam\tb\nlost\nham\tc\n")
    for file, told in (
        ("one.tsv", "has the label 'ham' alone"),
        ("broken.tsv", "broken.tsv:3: expected 2 fields, received 1: 'lost'"),
        ("missing.tsv", "does not exist"),
    ):
        code, _, err = finetune("bad", data=tmp_path / file)
        assert code == 2 and told in err
    assert not (root / "runs" / "bad").exists()
    code, _, err = finetune("base")
    assert code == 2 and "base" in err
    code, _, err = kgpt("finetune", "classify", "--run", "bad")
    assert code == 2 and "Expected a base run and --data FILE" in err
