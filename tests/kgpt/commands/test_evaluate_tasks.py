"""`kgpt evaluate` with tests by name, strides, samples and a judge: a real run, real files, the command's output."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pytest
from tiny import GPT2_SHAPE, TEXT, write_run

from kgpt.commands import main
from kgpt.files import write_json
from kgpt.runs import RunFolder
from kgpt.text.prepare import prepare
from kgpt.text.tokenizer import Tokenizer
from tests.kgpt.evaluation.judge_server import judging


@pytest.fixture(scope="module")
def root(tiny_run, tmp_path_factory):
    """Two runs, `tiny` that knows `tiny.TEXT` and `blank` that knows nothing, and files to measure them on."""
    from kgpt.model.gpt import build_gpt

    root = tmp_path_factory.mktemp("measured")
    shutil.copytree(tiny_run.path, root / "tiny")
    write_run(root / "blank", build_gpt(GPT2_SHAPE, seed=9), Tokenizer.bytes())
    (root / "known.txt").write_text(TEXT, encoding="utf-8")
    (root / "long.txt").write_text(TEXT * 40, encoding="utf-8")
    (root / "data.txt").write_text(f"outro\n{TEXT}", encoding="utf-8")
    prepare(
        [root / "data.txt"], root / "data", tokenizer="bytes", documents="line",
        validation="tail", validation_fraction=0.99,
    )  # fmt: skip
    for name in ("tiny", "blank"):
        run = RunFolder(root / name)
        write_json(run.run_file, {**run.read(), "data": {"path": str(root / "data")}})
    known = [
        {"context": "Olá, coração! A maçã é", "choices": ["verde", "vermelha"], "answer": 1},
        {
            "context": "Olá, coração! A maçã é vermelha 🍎 e o",
            "choices": ["avião", "rei"],
            "answer": "avião",
        },
        {
            "context": "Olá, coração! A maçã é vermelha 🍎 e o avião",
            "choices": ["anda", "voa"],
            "answer": 1,
        },
        {"context": "Olá,", "choices": ["coração!", "x"], "answer": 1},
    ]
    write_lines(root / "choices.jsonl", known)
    words = [{"text": "Olá, coração! A maçã é vermelha"}, {"text": "Olá, coração! A maçã é azul"}]
    write_lines(root / "lambada.jsonl", words)
    return root


def write_lines(path, rows) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


@pytest.fixture
def evaluate(root, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["evaluate", *map(str, arguments), "--saved-models", str(root)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def measured(evaluate):
    def call(*arguments: object) -> dict:
        code, out, err = evaluate(*arguments, "--json")
        assert code == 0, err
        return json.loads(out.splitlines()[-1])

    return call


def last_kept(root, name: str) -> dict:
    return json.loads((root / name / "evaluations.jsonl").read_text().splitlines()[-1])


# === Tests by name ===


def test_choices(measured, root):
    result = measured("tiny", "--task", "choices", "--file", root / "choices.jsonl")
    assert (result["task"], result["questions"]) == ("choices", 4)
    assert result["accuracy"] == pytest.approx(3 / 4)
    assert result["accuracy_error"] == pytest.approx(math.sqrt(3 / 16 / 3))
    assert result["file"] == str(root / "choices.jsonl")
    kept = last_kept(root, "tiny")
    assert kept.pop("time") and kept == result


def test_last_words(measured, root):
    result = measured("tiny", "--task", "lambada", "--file", root / "lambada.jsonl")
    assert result["accuracy"] == 0.5 and result["perplexity"] > 10
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]))


def test_a_limit(measured, root):
    one = measured("tiny", "--task", "lambada", "--file", root / "lambada.jsonl", "--limit", 1)
    assert (one["questions"], one["accuracy"], one["limit"]) == (1, 1.0, 1)
    assert one["perplexity"] < 1.5 and one["accuracy_error"] is None


def test_runs_are_compared_question_by_question(measured, evaluate, root):
    options = ("tiny", "blank", "--task", "choices", "--file", root / "choices.jsonl")
    result = measured(*options)
    tiny, blank = result["evaluations"]
    found = {item["figure"]: item for item in result["comparison"]}
    assert set(found) == {"accuracy", "accuracy_norm"}
    assert found["accuracy"]["runs"] == ["tiny", "blank"]
    assert found["accuracy"]["difference"] == pytest.approx(tiny["accuracy"] - blank["accuracy"])
    code, out, _ = evaluate(*options)
    assert code == 0 and "75.0% ± 25.0%" in out and "tiny − blank" in out


def test_a_difference_within_the_noise_is_called_so(evaluate, root):
    _, out, _ = evaluate("tiny", "tiny", "--task", "choices", "--file", root / "choices.jsonl")
    assert "within the noise" in out and "better" not in out


def test_subsets_have_rows_of_their_own(evaluate, measured, root):
    folder = root / "pairs"
    folder.mkdir()
    good = {"sentence_good": "Olá, coração!", "sentence_bad": "Olá, coraç!ão"}
    write_lines(folder / "one.jsonl", [good, good])
    write_lines(
        folder / "two.jsonl", [{"sentence_good": "zzz", "sentence_bad": "Olá, coração!"}] * 2
    )
    result = measured("tiny", "--task", "blimp", "--file", folder)
    assert result["by_subset"]["one"]["questions"] == 2
    mean = (result["by_subset"]["one"]["accuracy"] + result["by_subset"]["two"]["accuracy"]) / 2
    assert result["accuracy"] == pytest.approx(mean)
    _, out, _ = evaluate("tiny", "blank", "--task", "blimp", "--file", folder)
    assert out.splitlines()[0].split() == ["subset", "questions", "tiny", "blank"]


# === Loss ===


def test_a_stride_gives_tokens_more_context(measured, root):
    options = ("blank", "--text", root / "long.txt", "--context", 32)
    alone = measured(*options)
    with_stride = measured(*options, "--stride", 8)
    assert (with_stride["context"], with_stride["stride"]) == (32, 8)
    assert with_stride["tokens"] == alone["tokens"] == 40 * len(TEXT.encode())
    assert with_stride["loss"] != alone["loss"]
    assert measured(*options, "--stride", 32)["loss"] == alone["loss"]
    assert measured("blank", "--text", root / "long.txt")["loss"] != alone["loss"]


def test_what_a_model_knows_by_heart_it_knows_with_a_stride(measured, root):
    result = measured("tiny", "--text", root / "known.txt", "--stride", 16)
    assert result["loss"] < 0.1 and result["loss_error"] is None


def test_losses_are_compared_on_the_same_text_only(measured, evaluate, root):
    result = measured("tiny", "blank", "--text", root / "long.txt")
    (item,) = result["comparison"]
    first, second = result["evaluations"]
    assert item["figure"] == "bits_per_byte"
    assert item["difference"] == pytest.approx(first["bits_per_byte"] - second["bits_per_byte"])
    assert item["within_noise"] is False and first["loss_error"] > 0
    _, out, _ = evaluate("tiny", "blank", "--text", root / "long.txt")
    assert out.rstrip().endswith("is better") and " ± " in out
    other = root / "elsewhere"
    shutil.copytree(root / "data", other, dirs_exist_ok=True)
    run = RunFolder(root / "moved")
    shutil.copytree(root / "tiny", run.path, dirs_exist_ok=True)
    write_json(run.run_file, {**run.read(), "data": {"path": str(other)}})
    _, out, _ = evaluate("tiny", "moved")
    assert "Not compared" in out


# === Writing ===


def test_writing(measured, root):
    options = (
        "tiny",
        "--task",
        "writing",
        "--decoder",
        "keras",
        "--num-samples",
        3,
        "--max-tokens",
        30,
    )
    result = measured(*options)
    assert (result["samples"], result["max_tokens"]) == (3, 30)
    assert 0 < result["distinct_1"] <= 1 and result["self_perplexity"] > 1
    assert measured(*options) == result
    others = {
        "seed": measured(*options, "--seed", 5),
        "temperature": measured(*options, "--temperature", 0.2),
        "max_tokens": measured(*options[:-1], 10),
        "samples": measured(*options[:5], "--num-samples", 2, "--max-tokens", 30),
    }
    for name, other in others.items():
        assert other[name] != result[name] and other["self_perplexity"] != result["self_perplexity"]
    (root / "prompts.txt").write_text("Olá, coração! A\n")
    greedy = measured(*options, "--temperature", 0, "--file", root / "prompts.txt")
    assert greedy["self_perplexity"] < result["self_perplexity"]
    assert greedy["distinct_3"] < result["distinct_3"]  # the same sample three times


def test_a_judge(measured, evaluate, root):
    (root / "prompts.txt").write_text("Olá, coração! A\nOlá\n")
    (root / "rubric.txt").write_text("Only apples count.")
    options = ("tiny", "--task", "judge", "--file", root / "prompts.txt", "--judge-model", "wise")
    options = (
        *options, "--decoder", "keras", "--num-samples", 4, "--max-tokens", 12,
        "--temperature", 0, "--judge-timeout", 9,
    )  # fmt: skip

    def reply(body) -> str:
        asked = body["messages"][0]["content"]
        if "Only apples count." not in asked:
            return "Score: 1"
        return "Score: 90" if "maç" in asked else "no idea"

    with judging(reply) as server:
        result = measured(*options, "--judge-url", server.url, "--rubric", root / "rubric.txt")
        plain = measured(*options, "--judge-url", server.url)
        two = measured("tiny", *options, "--judge-url", server.url)
    assert result["judge"] == "wise" and result["scored"] + result["unscored"] == 4
    assert result["scored"] >= 2 and result["score"] == 90
    assert (
        result["samples"][0]["prompt"] == "Olá, coração! A" and result["samples"][0]["score"] == 90
    )
    assert plain["score"] == 1 and server.bodies[0]["model"] == "wise"
    assert two["comparison"][0]["difference"] == 0


def test_a_judge_without_a_single_score(evaluate, root):
    options = (
        "tiny", "--task", "judge", "--judge-model", "m", "--decoder", "keras",
        "--num-samples", 1, "--max-tokens", 3,
    )  # fmt: skip
    with judging(lambda body: "hm") as server:
        code, out, err = evaluate(*options, "--judge-url", server.url)
    assert (code, out) == (1, "") and "No scores" in err


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "lambda"], "There is no task 'lambda'. Did you mean lambada?"),
        (["--task", "nothing-like-it"], "There is no task 'nothing-like-it'."),
        (["--task", "choices"], "--task choices needs --file"),
        (["--task", "choices", "--file", "BROKEN"], "line 1: Expecting value: nonsense"),
        (["--task", "lambada", "--file", "FIELD"], "line 2: field 'text'"),
        (["--task", "choices", "--file", "EMPTY"], "text 1 of 'choices' must not be empty"),
        (["--task", "choices", "--file", "LONG"], "at most 128 tokens"),
        (["--task", "harness:"], "needs names of tasks"),
        (["--text", "ONE"], "Expected two tokens or more. Received: 1"),
        (
            ["--text", "TEXT", "--context", "129"],
            "Expected 1 to 128 tokens, the model's context. Received: 129",
        ),
        (
            ["--text", "TEXT", "--context", "8", "--stride", "9"],
            "Expected 1 to 8 tokens, the context. Received: 9",
        ),
        (["--text", "TEXT", "--stride", "0"], "must be 1 or more"),
        (["--text", "TEXT", "--limit", "2"], "--limit is for --task lambada"),
        (["--task", "lambada", "--stride", "2"], "--stride is for a loss"),
        (["--task", "writing", "--judge-model", "m"], "--judge-model is for --task judge"),
        (["--task", "lambada", "--decoder", "litert"], "scored with Keras"),
        (["--text", "TEXT", "--decoder", "litert", "--stride", "2"], "--stride and --context"),
        (["--task", "judge"], "needs --judge-url and --judge-model"),
        (["--task", "judge", "--judge-url", "x", "--judge-model", "m"], "Bad address"),
        (["--task", "writing", "--file", "nowhere.txt"], "nowhere.txt"),
        (["--task", "blimp", "--file", "nowhere.zip"], "nowhere.zip"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_mistakes(evaluate, root, arguments, words):
    files = {
        "BROKEN": ("broken.jsonl", "nonsense\n"),
        "FIELD": ("field.jsonl", '{"text": "a b"}\n{"txt": "a b"}\n'),
        "EMPTY": ("empty.jsonl", '{"context": "a", "choices": ["b", ""], "answer": 0}\n'),
        "LONG": (
            "longer.jsonl",
            json.dumps({"context": "a", "choices": ["b", "c" * 200], "answer": 0}),
        ),
        "ONE": ("one.txt", "a"),
        "TEXT": ("known.txt", TEXT),
    }
    given = []
    for argument in arguments:
        if argument in files:
            name, content = files[argument]
            (root / name).write_text(content, encoding="utf-8")
            argument = str(root / name)
        given.append(argument)
    path = root / "tiny" / "evaluations.jsonl"
    before = path.read_bytes() if path.exists() else b""
    try:
        code, out, err = evaluate("tiny", *given)
    except SystemExit as error:  # from the parser
        assert error.code == 2
        return
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 3 and "Traceback" not in err
    assert (path.read_bytes() if path.exists() else b"") == before


def test_a_judge_that_nobody_is(evaluate, root):
    code, _, err = evaluate(
        "tiny", "--task", "judge", "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"
    )
    assert code == 1 and "Judge not reached" in err and err.count("\n") == 3


def test_numbers_a_person_reads_are_those_of_json(measured, evaluate, root):
    result = measured("blank", "--task", "lambada", "--file", root / "lambada.jsonl")
    _, out, _ = evaluate("blank", "--task", "lambada", "--file", root / "lambada.jsonl")
    shown = float(out.splitlines()[1].split()[5].replace(",", ""))
    assert np.isclose(shown, result["perplexity"], rtol=1e-2)
