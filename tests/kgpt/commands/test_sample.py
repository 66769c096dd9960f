from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys

import pytest
from tiny import TEXT

from kgpt.commands import main
from kgpt.inference.generation import load_generator
from kgpt.protocol import GenerateOptions
from kgpt.text.tokenizer import Tokenizer


@pytest.fixture
def sample(tiny_run, capsys, monkeypatch):
    """Call `kgpt sample tiny ...` in this process; returns exit code, stdout and stderr."""

    def call(*arguments: str, stdin: bytes = b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        folder = str(tiny_run.path.parent)
        code = main(["sample", "tiny", *arguments, "--saved-models", folder])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


GREEDY = ("--temperature", "0", "--max-tokens", "120")


def test_prompt_and_continuation_are_written(sample):
    code, out, err = sample("Olá", *GREEDY)
    assert (code, out) == (0, TEXT + "\n")
    assert "end_of_text" in err


def test_json_is_the_last_line_and_the_only_one(sample):
    code, out, _ = sample("Olá", *GREEDY, "--json", "--stop", "vermelha", "--stop", "🍎")
    assert code == 0
    assert out.count("\n") == 1
    result = json.loads(out)
    assert result["text"] == TEXT.removeprefix("Olá").split("vermelha")[0]
    assert result["reason"] == "stop"
    assert result["tokens"] == len(result["ids"])
    assert bytes(result["ids"]).decode().endswith("vermelha")
    assert result["seconds"] >= result["seconds_to_first_token"] > 0
    assert result["tokens_per_second"] > 0
    assert "samples" not in result


def test_several_samples_have_seeds_in_a_row(sample):
    options = ("--temperature", "3", "--max-tokens", "8", "--json")
    _, out, _ = sample(*options, "--num-samples", "3", "--seed", "5")
    result = json.loads(out)
    assert [item["seed"] for item in result["samples"]] == [5, 6, 7]
    assert len({tuple(item["ids"]) for item in result["samples"]}) == 3
    assert result["ids"] == result["samples"][0]["ids"]
    alone = json.loads(sample(*options, "--seed", "6")[1])
    assert alone["ids"] == result["samples"][1]["ids"]


def test_a_forbidden_token_is_not_written(sample, plain_ids):
    first = str(plain_ids[0])
    assert plain_ids[0] not in json.loads(sample(*BASE, "--forbid", first)[1])["ids"]


def test_beams_are_searched_and_the_best_are_shown(sample):
    options = ("--beams", "3", "--max-tokens", "12", "--json")
    best = json.loads(sample("xyz", *options)[1])
    both = json.loads(sample("xyz", *options, "--num-samples", "2")[1])
    assert [item["ids"] for item in both["samples"]][0] == best["ids"] == both["ids"]
    assert both["samples"][1]["ids"] != best["ids"] and "samples" not in best
    ends = ("--stop", " ", "--stop", "o", "--length-penalty")
    shorter, longer = (json.loads(sample("xyz", *options, *ends, x)[1]) for x in ("-9", "9"))
    assert shorter["tokens"] < longer["tokens"]
    code, _, err = sample("xyz", *options, "--num-samples", "4")
    assert code == 2 and "from 1 to 3, the number of beams" in err
    code, _, err = sample("xyz", "--length-penalty", "2")
    assert code == 2 and "belongs to beam search" in err
    code, _, err = sample("xyz", *options, "--top-k", "2")
    assert code == 2 and "draws nothing" in err


@pytest.mark.parametrize("decoder", ["keras", "litert", "litert-int8"])
def test_every_decoder_writes_the_text(sample, decoder):
    code, out, err = sample("Olá", *GREEDY, "--decoder", decoder)
    assert (code, out) == (0, TEXT + "\n")


def test_a_draft_changes_nothing_but_the_work(sample):
    code, out, err = sample("Olá", *GREEDY, "--draft", "tiny", "--draft-tokens", "3")
    assert (code, out) == (0, TEXT + "\n")
    assert "100% of" in err
    result = json.loads(sample("Olá", *GREEDY, "--draft", "tiny", "--json")[1])
    proposed = result["draft"]["proposed"]
    assert proposed > 40
    assert proposed - 4 < result["draft"]["accepted"] <= proposed  # the last may go beyond the end


def test_a_draft_with_another_tokenizer_is_refused(sample, tiny_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(tiny_run.path, other)
    Tokenizer.train(["um texto", "outro texto"], 260).save(other / "tokenizer")
    code, _, err = sample("Olá", "--draft", str(other))
    assert code == 2 and "another tokenizer" in err


def test_samples_are_titled_in_the_terminal(sample):
    _, out, _ = sample("Olá", *GREEDY, "--num-samples", "2", "--seed", "1")
    assert out == f"--- sample 1, seed 1\n{TEXT}\n--- sample 2, seed 2\n{TEXT}\n"


def test_the_prompt_can_come_from_stdin(sample):
    code, out, _ = sample("-", *GREEDY, stdin="Olá, cora\n".encode())
    assert (code, out) == (0, TEXT + "\n")


BASE = ("xyz", "--json", "--seed", "1", "--temperature", "1.8", "--max-tokens", "15")


@pytest.fixture(scope="module")
def plain_ids(tiny_run) -> list[int]:
    options = GenerateOptions(seed=1, temperature=1.8, max_tokens=15)
    return load_generator(tiny_run).generate("xyz", options).ids


@pytest.mark.parametrize(
    "options",
    [
        ("--temperature", "4"),
        ("--top-k", "1"),
        ("--top-p", "0.05"),
        ("--min-p", "0.9"),
        ("--typical-p", "0.1"),
        ("--repetition-penalty", "9"),
        ("--frequency-penalty", "9"),
        ("--presence-penalty", "9"),
        ("--no-repeat-ngram-size", "1"),
        ("--logit-bias", "65=50"),
        ("--max-tokens", "3"),
        ("--seed", "2"),
    ],
    ids=str,
)
def test_every_option_changes_the_text(sample, plain_ids, options):
    assert json.loads(sample(*BASE, *options)[1])["ids"] != plain_ids


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checkpoint", "77"], ["77", "10"]),
        (["x" * 129], ["128", "129"]),
        (["--temperature", "-1"], ["temperature", "-1"]),
        (["--top-p", "0"], ["top_p"]),
        (["--num-samples", "0"], ["num_samples"]),
        (["--stop", ""], ["stop"]),
        (["--draft", "tiny", "--draft-tokens", "0"], ["draft_tokens", "0"]),
        (["--draft-tokens", "3"], ["--draft RUN"]),
        (["--draft", "tiny", "--beams", "2", "--temperature", "0"], ["--beams"]),
        (["--draft", "nowhere"], ["nowhere"]),
    ],
    ids=str,
)
def test_mistakes_end_in_exit_code_2_and_a_message(sample, arguments, words):
    code, out, err = sample(*arguments)
    assert code == 2
    assert all(word in err for word in words)
    assert "Traceback" not in err
    assert out == ""


def test_stdin_that_is_not_utf_8_says_where(sample):
    code, _, err = sample("-", stdin=b"ab\xff")
    assert code == 2
    assert "Byte 2" in err


def test_an_unknown_run_is_a_mistake(tmp_path, capsys):
    assert main(["sample", "nowhere", "--saved-models", str(tmp_path)]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_child_process_streams_and_ends_cleanly_at_ctrl_c(tiny_run):
    command = [sys.executable, "-m", "kgpt", "sample", str(tiny_run.path), "Olá", "--seed", "1"]
    options = ["--temperature", "9", "--top-k", "250", "--max-tokens", "1000000000"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        command + options,
        stdout=pipe,
        stderr=pipe,
        bufsize=0,
        # a test run in the background of a shell inherits "ignore"
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    begun = b""
    while len(begun) < len("Olá".encode()) + 5:  # text comes while the model writes
        begun += child.stdout.read(1)
    child.send_signal(signal.SIGINT)
    rest, err = child.communicate(timeout=30)
    assert begun.startswith("Olá".encode())
    assert child.returncode == 130
    assert rest.endswith(b"\n")
    (begun + rest).decode()  # whole characters
    assert b"cancelled" in err
    assert b"Traceback" not in err
