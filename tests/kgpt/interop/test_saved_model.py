"""A run exported as a SavedModel, used by a process that knows neither kgpt nor Keras."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from disk import full_disk
from saved_model_answers import answers_of
from tiny_run import make_run

from kgpt.commands import main
from kgpt.inference.generation import Generator, load_generator
from kgpt.model.tensors import load_tensors, save_tensors
from kgpt.protocol import GenerateOptions
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

PROMPTS = ["Marte é um planeta", "", "😀 ação", "A capital da França", "p", "não\n\n"]
BAKED = {"max_new_tokens": 9, "temperature": 1.5, "top_k": 12, "top_p": 1.0, "seed": 7}
"""What the export below fixes for `serving_default`, in the words of `generate`."""
EXPORT = "--format saved-model --max-tokens 9 --temperature 1.5 --top-k 12 --seed 7".split()
GREEDY = {"max_new_tokens": 20, "temperature": 0.0, "top_k": 0, "top_p": 1.0, "seed": 0}
LONG = "planeta " * 40


def rows(texts: list[str], **controls: Any) -> list[Any]:
    """A request to `generate`; a control is one value for all texts, or a list."""
    each = {
        name: value if isinstance(value, list) else [value] * len(texts)
        for name, value in {**GREEDY, **controls}.items()
    }
    return ["generate", {"text": texts, **each}]


def changed(**controls: Any) -> list[Any]:
    return rows(PROMPTS, **{**BAKED, **controls})


BAD = {
    "temperature": [-0.5, float("nan"), float("inf")],
    "top_k": [-1],
    "top_p": [0.0, 1.1],
    "max_new_tokens": [0, 33],
}
REQUESTS = {
    "default": ["serving_default", {"text": PROMPTS}],
    "baked": changed(),
    "max_new_tokens": changed(max_new_tokens=4),
    "temperature": changed(temperature=0.4),
    "top_k": changed(top_k=0),
    "top_p": changed(top_p=0.5),
    "seed": changed(seed=8),
    "greedy": rows(PROMPTS),
    "greedy alone": rows([PROMPTS[2]]),
    "greedy by top-k": rows(PROMPTS, temperature=2.0, top_k=1),
    "greedy by top-p": rows(PROMPTS, temperature=2.0, top_p=1e-6),
    "mixed": rows(
        PROMPTS[:3],
        temperature=[1.5, 0.0, 1.5],
        seed=[7, 0, 5],
        top_k=[12, 0, 0],
        max_new_tokens=[9, 20, 3],
    ),
    "mixed alone": rows([PROMPTS[2]], temperature=1.5, seed=5, max_new_tokens=3),
    "long": rows([LONG, "p"], max_new_tokens=20),
    "nothing": rows([]),
    "tokenize": ["tokenize", {"text": PROMPTS}],
    "score": ["score", {"text": [*PROMPTS, LONG]}],
    "score alone": ["score", {"text": [PROMPTS[2]]}],
    "score nothing": ["score", {"text": ["", ""]}],
    "detokenize": ["detokenize", {"ids": [[195, 169, 65], [65, 66, 67]], "num_tokens": [2, 3]}],
    "uneven controls": rows(PROMPTS, seed=[1, 2]),
    **{f"{name} {v}": rows(["p"], **{name: v}) for name, values in BAD.items() for v in values},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("saved_models") / "tiny")


@pytest.fixture(scope="module")
def exported(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "tiny"
    assert main(["export", str(run.path), "--output", str(folder), *EXPORT]) == 0
    return folder


@pytest.fixture(scope="module")
def outputs(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answers to `REQUESTS`, and under "command" those of `saved_model_cli run`."""
    folder = tmp_path_factory.mktemp("child")
    command = ["run", "--dir", str(exported), "--tag_set", "serve", "--outdir", str(folder)]
    command += ["--signature_def", "serving_default", "--input_exprs", f"text={PROMPTS!r}"]
    result = answers_of(exported, REQUESTS, folder, command)
    result["command"] = {
        name: np.load(folder / f"{name}.npy", allow_pickle=True) for name in ("ids", "text")
    }
    return result


@pytest.fixture(scope="module")
def generator(run: RunFolder) -> Generator:
    return load_generator(run)


def counted(output: dict[str, Any]) -> list[list[int]]:
    return [ids[:count] for ids, count in zip(output["ids"], output["num_tokens"], strict=True)]


def greedy_ids(generator: Generator, prompt: str, count: int) -> list[int]:
    result = generator.generate(prompt, GenerateOptions(temperature=0.0, max_tokens=count))
    return [token for token in result.ids if token != generator.tokenizer.end_of_text]


def test_it_needs_nothing_but_tensorflow(outputs: dict[str, Any]) -> None:
    assert outputs["modules"] == []


def test_greedy_text_is_what_kgpt_writes(outputs: dict[str, Any], generator: Generator) -> None:
    expected = [greedy_ids(generator, prompt, 20) for prompt in PROMPTS]
    assert counted(outputs["greedy"]) == expected
    assert len({tuple(ids) for ids in expected}) == len(PROMPTS)  # the model does not just repeat
    decoded = [generator.tokenizer.decode_bytes(ids).hex() for ids in expected]
    assert outputs["greedy"]["text_bytes"] == decoded
    assert counted(outputs["greedy alone"]) == [expected[2]]


def test_a_row_ends_before_its_end_of_text(outputs: dict[str, Any], generator: Generator) -> None:
    lengths = outputs["greedy"]["num_tokens"]
    assert min(lengths) < max(lengths) == 20
    for ids, count in zip(outputs["greedy"]["ids"], lengths, strict=True):
        assert ids[count:] == [generator.tokenizer.end_of_text] * (20 - count)


def test_text_is_utf8_where_bytes_may_end_inside_a_character(outputs: dict[str, Any]) -> None:
    for answer in (outputs["greedy"], outputs["baked"], outputs["detokenize"]):
        for text, exact in zip(answer["text"], answer["text_bytes"], strict=True):
            assert bytes.fromhex(text).decode() == bytes.fromhex(exact).decode(errors="replace")


def test_a_long_prompt_keeps_its_end(outputs: dict[str, Any], generator: Generator) -> None:
    tokenizer, room = generator.tokenizer, 32 + 1 - 20
    kept = tokenizer.encode(LONG)[-room:]
    assert tokenizer.encode(tokenizer.decode(kept)) == kept
    expected = [greedy_ids(generator, text, 20) for text in (tokenizer.decode(kept), "p")]
    assert counted(outputs["long"]) == expected


def test_serving_default_writes_by_the_options_of_the_export(outputs: dict[str, Any]) -> None:
    assert outputs["default"] == outputs["baked"]


@pytest.mark.parametrize("control", BAKED)
def test_each_control_changes_the_text(outputs: dict[str, Any], control: str) -> None:
    assert counted(outputs[control]) != counted(outputs["baked"])


def test_controls_that_leave_one_token_are_greedy(outputs: dict[str, Any]) -> None:
    assert outputs["greedy by top-k"] == outputs["greedy"] == outputs["greedy by top-p"]


def test_a_row_does_not_depend_on_its_batch(outputs: dict[str, Any]) -> None:
    first, second, third = counted(outputs["mixed"])
    assert first == counted(outputs["baked"])[0]
    assert second == counted(outputs["greedy"])[1]
    assert [third] == counted(outputs["mixed alone"])
    assert len(third) <= 3


def test_an_empty_batch_is_no_error(outputs: dict[str, Any]) -> None:
    assert outputs["nothing"]["num_tokens"] == outputs["nothing"]["text"] == []


def test_tokenize_and_detokenize(outputs: dict[str, Any], run: RunFolder) -> None:
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    assert counted(outputs["tokenize"]) == tokenizer.encode_batch(PROMPTS)
    expected = [tokenizer.decode_bytes(ids).hex() for ids in ([195, 169], [65, 66, 67])]
    assert outputs["detokenize"]["text_bytes"] == expected


def test_scores_are_those_of_the_model(outputs: dict[str, Any], run: RunFolder) -> None:
    """Summed, they are the loss that the evaluation measures, window by window."""
    from kgpt.evaluation.loss import LossEvaluator
    from kgpt.evaluation.tokens import InMemoryTokens
    from kgpt.model.weights import load_checkpoint_model

    tokenizer = Tokenizer.load(run.tokenizer_folder)
    evaluator = LossEvaluator(
        load_checkpoint_model(run, run.checkpoint()), tokenizer.end_of_text, 2
    )
    scores, counts = outputs["score"]["log_probabilities"], outputs["score"]["num_tokens"]
    for text, row, count in zip([*PROMPTS, LONG], scores, counts, strict=True):
        ids = tokenizer.encode(text)
        assert count == len(ids)
        assert not any(row[count:])
        if ids:
            expected = evaluator.measure(InMemoryTokens(ids), len(text)).loss
            assert -sum(row) / count == pytest.approx(expected, rel=1e-4)
    alone = outputs["score alone"]["log_probabilities"][0]
    assert alone == pytest.approx(scores[2][: len(alone)], abs=1e-4)
    assert outputs["score nothing"]["num_tokens"] == [0, 0]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BAD.items() for v in values])
def test_bad_controls_are_refused(outputs: dict[str, Any], name: str, value: float) -> None:
    assert f"{name} must be" in outputs[f"{name} {value}"]["error"]


def test_controls_for_another_number_of_texts_are_refused(outputs: dict[str, Any]) -> None:
    assert "seed must have one value for each text" in outputs["uneven controls"]["error"]


def test_saved_model_cli_gives_the_same(outputs: dict[str, Any]) -> None:
    assert outputs["command"]["ids"].tolist() == outputs["default"]["ids"]
    assert [text.hex() for text in outputs["command"]["text"]] == outputs["default"]["text"]


def test_weights_are_stored_once(exported: Path, run: RunFolder) -> None:
    stored = (exported / "variables" / "variables.data-00000-of-00001").stat().st_size
    weights = (run.checkpoint().path / "weights.safetensors").stat().st_size
    assert stored < 1.1 * weights
    # five signatures and the tokenizer's tables: no weight is among the constants of the graph
    assert (exported / "saved_model.pb").stat().st_size < 1_200_000


def test_bfloat16_weights_take_half_the_place_and_write_what_they_are(
    run: RunFolder, tmp_path: Path
) -> None:
    """The texts are those of a run whose matrices were rounded to bfloat16 by NumPy."""
    rounded = tmp_path / "rounded"
    shutil.copytree(run.path, rounded, ignore=shutil.ignore_patterns("litert"))
    checkpoint = RunFolder(rounded).checkpoint()
    file = checkpoint.path / checkpoint.weights_file
    tensors = {
        name: tensor.astype(ml_dtypes.bfloat16).astype("float32") if tensor.ndim > 1 else tensor
        for name, tensor in load_tensors(file).items()
    }
    assert any((tensors[name] != tensor).any() for name, tensor in load_tensors(file).items())
    save_tensors(file, tensors, {})
    state = json.loads((checkpoint.path / "state.json").read_text())
    state["sha256"][checkpoint.weights_file] = hashlib.sha256(file.read_bytes()).hexdigest()
    (checkpoint.path / "state.json").write_text(json.dumps(state))

    folder = tmp_path / "half"
    options = ["--weights", "bfloat16", "--output", str(folder)]
    assert main(["export", str(run.path), *EXPORT, *options]) == 0
    answers = answers_of(folder, {name: REQUESTS[name] for name in ("greedy", "score")}, tmp_path)
    generator = load_generator(RunFolder(rounded))
    expected = [greedy_ids(generator, prompt, 20) for prompt in PROMPTS]
    assert counted(answers["greedy"]) == expected
    stored = (folder / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert stored < 1.1 * file.stat().st_size / 2


@pytest.mark.parametrize(("form", "weights"), [("saved-model", "int8"), ("keras", "bfloat16")])
def test_weights_that_a_format_cannot_store(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, weights: str
) -> None:
    arguments = ["--format", form, "--weights", weights, "--output", str(tmp_path / "out")]
    assert main(["export", str(run.path), *arguments]) == 2
    assert weights in capsys.readouterr().err


def test_a_full_disk_leaves_nothing(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(20_000):
        code = main(["export", str(run.path), "--output", str(tmp_path / "tiny"), *EXPORT])
    assert code == 1
    assert "Cannot write" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_defaults_that_the_model_cannot_meet(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*EXPORT, "--max-tokens", "33"]
    assert main(["export", str(run.path), "--output", str(tmp_path / "tiny"), *arguments]) == 2
    assert "--max-tokens 32 or less" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
