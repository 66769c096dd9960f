"""`kgpt finetune instruct` and `kgpt finetune prefer`, as a user calls them."""

from __future__ import annotations

import json

import pytest
from tiny import MODERN_SHAPE, write_run

from kgpt.commands import main
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

QUICK = (
    "--batch-size", "4", "--steps", "4", "--learning-rate", "0.01", "--set", "optimizer.warmup_steps=2",
    "--set", "xla=off", "--split", "0.6,0.2,0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of runs with the base `base`, beside files of questions and preferences."""
    from kgpt.model.gpt import build_gpt

    folder = tmp_path_factory.mktemp("root")
    write_run(folder / "runs" / "base", build_gpt(MODERN_SHAPE, seed=1), Tokenizer.bytes())
    asked = [{"pergunta": f"{n}?", "resposta": "abc"[n % 3], "nota": f"z{n}"} for n in range(20)]
    write(folder / "asked.jsonl", [*asked, asked[0], {"pergunta": "x", "resposta": ""}])
    pairs = [{"prompt": f"{n}?", "chosen": "a", "rejected": "b"} for n in range(20)]
    write(folder / "pairs.jsonl", pairs)
    return folder


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.fixture
def finetune(root, capsys):
    def call(kind: str, *arguments: str) -> tuple[int, str, str]:
        code = main(["finetune", kind, *arguments, "--saved-models", str(root / "runs")])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_conversations_are_shown_learned_and_measured(finetune, root):
    data = str(root / "asked.jsonl")
    code, out, err = finetune("instruct", "base", "--data", data, "--run", "answers", *QUICK)
    assert code == 0, err
    assert "22 rows: what is asked in 'pergunta', the answer in 'resposta'." in out
    assert "Left out: 1 × copy, 1 × empty question or answer." in out
    table = [line.split() for line in out.splitlines()]
    assert ["train", "12"] in [row[:2] for row in table]
    assert "<|assistant|>[[ " in out and out.count("<|endoftext|>]]") == 3
    assert "New in the vocabulary: <|system|>, <|user|>, <|assistant|>." in out
    assert "Packed into" in out and "the base's loss" in out and "Exact answers:" in out
    assert "Next: kgpt chat answers" in out
    run = RunFolder(root / "runs" / "answers")
    code, out, err = finetune("instruct", "--run", "answers", "--resume", "--steps", "6", "--json")
    result = json.loads(out.splitlines()[-1])
    assert code == 0 and result["steps"] == 6 and run.status()["state"] == "finished"
    assert set(result["test"]) >= {"loss", "base_loss", "exact", "worst", "perplexity"}


def test_options_reach_the_run(finetune, root):
    mine = root / "mine.toml"
    mine.write_text('user = "P: {instruction} R:"\n')
    options = ("--template", str(mine), "--learn", "all", "--no-packing", "--max-length", "20", "--answered", "0",
               "--lora-rank", "2", "--lora-targets", "query,value", "--question-field", "nota",
               "--answer-field", "pergunta", "--seed", "3")  # fmt: skip
    data = str(root / "asked.jsonl")
    code, out, err = finetune("instruct", "base", "--data", data, "--run", "opts", *options, *QUICK)
    assert code == 0, err
    values = RunFolder(root / "runs" / "opts").read()
    own = values["finetuning"]
    assert values["template"]["user"] == "P: {instruction} R:"
    assert (own["learns"], own["packing"], own["max_length"], own["answered"]) == (
        "all",
        False,
        20,
        0,
    )
    assert (own["lora"]["rank"], own["lora"]["targets"]) == (2, ["query", "value"])
    assert values["configuration"]["seed"] == 3
    assert "[[P: z" in out and "Packed" not in out and "Exact" not in out


def test_preferences_are_shown_learned_and_measured(finetune, root):
    data = str(root / "pairs.jsonl")
    options = ("--beta", "0.5", "--template", "alpaca-pt", "--max-length", "400")
    code, _, err = finetune("prefer", "base", "--data", data, "--run", "short", *options, *QUICK)
    assert (
        code == 2 and "Too few preferences" in err
    )  # a context of 40 bytes ends within the template
    code, out, err = finetune(
        "prefer", "base", "--data", data, "--run", "prefers", "--beta", "0.5", *QUICK
    )
    assert code == 0, err
    assert "20 rows with a prompt, a chosen and a rejected answer." in out
    assert "gained more" in out and "Next: kgpt chat prefers" in out
    assert RunFolder(root / "runs" / "prefers").read()["finetuning"]["beta"] == 0.5
    code, out, _ = finetune("prefer", "--run", "prefers", "--resume", "--steps", "6", "--json")
    assert code == 0 and json.loads(out.splitlines()[-1])["steps"] == 6


@pytest.mark.parametrize(
    ("kind", "arguments", "says"),
    [
        ("instruct", (), "Expected a base run and --data FILE"),
        ("instruct", ("nobody", "--data", "FILE"), "There is no run"),
        ("instruct", ("base", "--data", "missing.json"), "does not exist"),
        ("instruct", ("base", "--data", "FILE", "--template", "llama"), "No such template"),
        ("instruct", ("base", "--data", "FILE", "--answer-field", "x"), "no field 'x'"),
        ("instruct", ("base", "--data", "FILE", "--split", "0.5,0.5"), "three shares"),
        (
            "instruct",
            ("base", "--data", "FILE", "--forgetting"),
            "does not say what it was trained on",
        ),
        ("instruct", ("base", "--data", "FILE", "--forgetting", "nowhere"), "no prepared data"),
        ("instruct", ("base", "--data", "FILE", "--lora-rank", "500"), "Rank too high"),
        ("prefer", (), "Expected a base run and --data FILE"),
        ("prefer", ("base", "--data", "FILE"), "expected a field chosen"),
        ("prefer", ("base", "--data", "FILE", "--beta", "0"), "beta"),
    ],
)
def test_mistakes_are_told_and_nothing_is_made(finetune, root, kind, arguments, says):
    given = [str(root / "asked.jsonl") if word == "FILE" else word for word in arguments]
    code, _, err = finetune(kind, *given, "--run", "never")
    assert code == 2 and says in " ".join(err.split()) and "Traceback" not in err
    assert not (root / "runs" / "never").exists()


def test_a_resumed_run_keeps_what_it_is(finetune, root):
    code, _, err = finetune("instruct", "--run", "base", "--resume")
    assert code == 2 and "never fine-tuned to answer" in err
    code, _, err = finetune("prefer", "--run", "base", "--resume")
    assert code == 2 and "A run of another kind" in err
