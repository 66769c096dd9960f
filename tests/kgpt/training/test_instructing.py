"""Models that learn to answer: what a run leaves, that it goes on where it stopped, what counts, what is measured."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from conversing import CONVERSATIONS, SHARES, planned_chat, question, tuned_chat
from finetuned import planned, write_base, write_texts
from numpy_gpt import forward
from stop_at import StopAt
from tiny import GPT2_SHAPE

from kgpt.errors import KgptError
from kgpt.finetune_config import InstructConfig, LoraConfig
from kgpt.model.tensors import base_tensors, checkpoint_tensors, load_tensors
from kgpt.runs import find_run
from kgpt.text.conversations import from_row
from kgpt.text.templates import ALPACA, CHAT, conversation_ids
from kgpt.text.tokenizer import Tokenizer

LORA = InstructConfig(lora=LoraConfig(rank=2, alpha=4.0, dropout=0.1), shares=SHARES, answered=0)
TIMES = ("seconds", "tokens_per_second")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("runs") / "base")


@pytest.fixture(scope="module")
def whole(base):
    """A run with enough steps to learn its answers by heart."""
    return tuned_chat(base, "whole", steps=160, evaluate_every=40, checkpoint_every=40)


@pytest.fixture(scope="module")
def adapted(base):
    return tuned_chat(base, "adapted", LORA)


def timeless(run):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in run.metrics()]


def saved(run, step):
    folder = run.checkpoints_folder / f"step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def loss_of(run, conversations, learns_all=False):
    """Nats a token, computed in NumPy, each conversation for itself."""
    from kgpt.model.tensors import model_config

    weights, config = checkpoint_tensors(run, run.checkpoint("best")), model_config(run)
    tokenizer, total, count = Tokenizer.load(run.tokenizer_folder), 0.0, 0
    for conversation in conversations:
        ids, is_answer = conversation_ids(CHAT, conversation.turns, tokenizer)
        logits = forward(weights, config, np.array([ids[:-1]]))[0]
        nats = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
        learned = np.array(is_answer[1:]) | learns_all
        total, count = total + nats[learned].sum(), count + learned.sum()
    return total / count


def part_of(run, name):
    lines = (run.examples_folder / f"{name}.jsonl").read_text("utf-8").splitlines()
    return [from_row(json.loads(line)) for line in lines]


def test_a_run_leaves_its_task_its_template_its_parts_and_its_figures(whole, base):
    run = whole.training.run
    values = run.read()
    assert (values["task"], values["parent"]["run"]) == ("instruction", "base")
    assert values["template"] == CHAT.to_values()
    rows = {name: part["examples"] for name, part in values["data"]["parts"].items()}
    assert rows == {"train": 24, "validation": 8, "test": 8}
    kept = [conversation for name in rows for conversation in part_of(run, name)]
    assert sorted(map(repr, kept)) == sorted(map(repr, CONVERSATIONS))
    tokenizer = Tokenizer.load(run.tokenizer_folder)
    assert tokenizer.special_tokens[1:] == list(CHAT.special_tokens)
    assert values["configuration"]["model"]["vocabulary_size"] == 260
    assert json.loads(run.results_file.read_text("utf-8")) == whole.results
    samples = [json.loads(line) for line in run.samples_file.read_text("utf-8").splitlines()]
    assert {row["step"] for row in samples} == {40, 80, 120, 160}
    assert len(samples) == 12 and set(samples[0]) == {"step", "prompt", "text", "expected"}
    assert (run.path / "report.html").is_file() and run.answers


def test_it_learns_to_answer_and_where_an_answer_ends(whole):
    from kgpt.inference.chat import load_chat

    run = whole.training.run
    chat = load_chat(run, run.checkpoint("last"), "keras")
    right = 0
    for conversation in part_of(run, "train")[:12]:
        pieces = list(chat.answer(conversation.turns[:-1]))
        text = "".join(piece.text for piece in pieces)
        right += text == conversation.answer and pieces[-1].reason == "end_of_text"
    assert right >= 10
    figures = whole.results["test"]
    assert figures["loss"] < figures["base_loss"] / 2
    assert figures["answered"] == 4 and 0 <= figures["exact"] <= 1
    wrong = [row for row in figures["worst"] if row["written"] == row["expected"]]
    assert not wrong and len(figures["worst"]) == round(4 * (1 - figures["exact"]))


def test_figures_are_those_of_a_plain_computation(whole, base, adapted):
    for outcome in (whole, adapted):
        run = outcome.training.run
        for name in ("validation", "test"):
            expected = loss_of(run, part_of(run, name))
            assert outcome.results[name]["loss"] == pytest.approx(expected, abs=1e-5)
        best = [row for row in run.metrics() if row["step"] == outcome.results["step"]][-1]
        validation = outcome.results["validation"]
        assert best["validation_loss"] == pytest.approx(validation["loss"], abs=1e-6)
        assert validation["perplexity"] == pytest.approx(np.exp(validation["loss"]))


@pytest.mark.parametrize("packs", [True, False])
def test_the_masked_loss_is_that_of_a_plain_computation(base, packs):
    """The first step's loss, packed or not, is the mean over the answers' tokens, each conversation for itself."""
    settings = InstructConfig(packing=packs, shares=SHARES, answered=0)
    plan = planned_chat(base, f"packs-{packs}", settings, batch_size=24)
    from kgpt.training.distribution import Devices

    model = plan.task.model(plan.config, Devices())
    loss = float(model.train_on_batch(*next(plan.task.batches(plan.config).from_step(0))))
    weights, total, count = plan.task.base, 0.0, 0
    for conversation in plan.task.parts["train"]:
        ids, is_answer = conversation_ids(CHAT, conversation.turns, plan.task.tokenizer)
        logits = forward(weights, plan.config.model, np.array([ids[:-1]]))[0]
        nats = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids) - 1), ids[1:]]
        learned = np.array(is_answer[1:])
        total, count = total + nats[learned].sum(), count + learned.sum()
    assert loss == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize("kind", ["plain", "adapted"])
def test_a_stopped_run_goes_on_to_the_very_same_end(base, adapted, kind):
    from kgpt.training.instructing import resume_instruct

    settings = LORA if kind == "adapted" else InstructConfig(shares=SHARES, answered=2)
    first = adapted if kind == "adapted" else tuned_chat(base, "first", settings)
    part = tuned_chat(base, f"part-{kind}", settings, reporter=StopAt(3))
    assert part.results is None and part.training.steps < 8
    resumed = resume_instruct(part.training.run, {})
    assert resumed.training.finished
    assert timeless(part.training.run) == timeless(first.training.run)
    assert saved(part.training.run, 8) == saved(first.training.run, 8) != {}
    assert resumed.results == first.results


def test_what_was_asked_may_count_too(base):
    settings = InstructConfig(learns="all", shares=SHARES, answered=0)
    outcome = tuned_chat(base, "all", settings, steps=40, evaluate_every=40)
    run = outcome.training.run
    weights = outcome.results["validation"]
    assert weights["loss"] == pytest.approx(loss_of(run, part_of(run, "validation")), abs=1e-5)
    answers_alone = tuned_chat(base, "answers", steps=40, evaluate_every=40).training.run
    both = [loss_of(one, part_of(run, "train"), True) for one in (run, answers_alone)]
    assert both[0] < both[1] - 0.5  # it has learned what users say, too


def test_adapters_stand_on_the_base_with_its_new_tokens(adapted, base):
    run = adapted.training.run
    kept, own = (
        base_tensors(run, run.read()),
        load_tensors(base.checkpoint().path / "weights.safetensors"),
    )
    rows = kept["gpt/token_embedding/embeddings"]
    np.testing.assert_array_equal(rows[:257], own["gpt/token_embedding/embeddings"])
    assert rows.shape[0] == 260 and len(np.unique(rows[257:], axis=0)) == 3
    assert adapted.results["test"]["base_loss"] > adapted.results["test"]["loss"]
    assert (run.adapter_folder / "weights.safetensors").is_file()


def test_an_export_has_the_adapters_in_it(adapted, tmp_path):
    from kgpt.interop.huggingface_export import export_huggingface
    from kgpt.interop.imports import import_model

    run = adapted.training.run
    best = run.checkpoint("best")
    export_huggingface(run, best, tmp_path / "exported")
    back = import_model(str(tmp_path / "exported"), "back", saved_models=tmp_path)
    found = load_tensors(back.checkpoint().path / "weights.safetensors")
    expected = checkpoint_tensors(run, best)
    assert found.keys() == expected.keys()
    for path, tensor in expected.items():
        np.testing.assert_allclose(found[path], tensor, atol=1e-7)
    base = load_tensors(run.base_file)
    changed = "gpt/block_0/attention/query/kernel"
    assert np.abs(found[changed] - base[changed]).max() > 1e-4
    settings = json.loads((tmp_path / "exported" / "tokenizer_config.json").read_text())
    assert "<|assistant|>" in settings["chat_template"]


def test_a_template_without_special_tokens_leaves_the_vocabulary(base):
    short = dataclasses.replace(
        ALPACA, beginning="", user="{instruction}=", user_with_input="{instruction}{input}="
    )
    plan = planned_chat(base, "alpaca", template=short)
    assert plan.added_tokens == () and plan.config.model.vocabulary_size == 257
    assert planned_chat(base, "chat").added_tokens == CHAT.special_tokens


def test_epochs_rows_and_lengths_follow_the_options(base):
    apart = InstructConfig(packing=False, shares=SHARES)
    packed = planned_chat(base, "a", steps=1, epochs=2.0, every_epoch=True)
    unpacked = planned_chat(base, "b", apart, steps=1, epochs=2.0, every_epoch=True)
    assert unpacked.config.steps == 2 * 24 / 4 > packed.config.steps
    assert unpacked.config.evaluate_every == 6
    short = InstructConfig(max_length=8, shares=SHARES)
    assert planned_chat(base, "c", short).task.longest == 8
    assert planned_chat(base, "d").task.longest == 40


def test_forgetting_is_measured_on_the_base_s_data(base, tmp_path):
    from kgpt.text.prepare import prepare

    (tmp_path / "text.txt").write_text("some words of a text\n" * 60, encoding="utf-8")
    corpus = prepare([tmp_path / "text.txt"], tmp_path / "data", tokenizer="bytes").folder
    settings = InstructConfig(shares=SHARES, answered=0, forgetting=str(corpus))
    found = tuned_chat(base, "forgets", settings, steps=30, evaluate_every=30).results["forgetting"]
    assert found["data"] == str(corpus) and found["before"] == pytest.approx(5.5, abs=1.5)
    assert found["after"] != found["before"]
    own = InstructConfig(shares=SHARES, answered=0)
    assert "forgetting" not in tuned_chat(base, "forgets-not", own).results


# === What does not go together ===


def test_a_base_that_gives_labels_and_one_with_the_name_taken(base, tmp_path_factory):
    from kgpt.training.finetuning import finetune_classifier

    data = write_texts(tmp_path_factory.mktemp("data") / "texts.tsv")
    labels = finetune_classifier(planned(base, data, "labels", steps=1, epochs=0.0)).training.run
    with pytest.raises(KgptError, match="is a classifier itself"):
        planned_chat(labels, "x")
    with pytest.raises(KgptError, match="gives? labels|gives labels|give labels"):
        labels.check_answers()
    with pytest.raises(KgptError, match="never fine-tuned to answer"):
        base.check_answers()
    with pytest.raises(KgptError, match="distribute"):
        planned_chat(base, "x", distribute="mirrored")
    assert not (base.path.parent / "x").exists()


def test_changed_examples_are_refused(base):
    from kgpt.training.instructing import resume_instruct

    run = tuned_chat(base, "changed", reporter=StopAt(3)).training.run
    file = run.examples_folder / "train.jsonl"
    file.write_text(file.read_text("utf-8").replace("aa", "ab"), encoding="utf-8")
    with pytest.raises(KgptError, match="not what the run was trained with"):
        resume_instruct(run, {})


def test_questions_are_never_on_two_sides():
    from kgpt.training.instructing import conversation_parts

    twice = [question(n) for n in range(10)] * 2
    parts = conversation_parts(twice, (0.5, 0.25, 0.25), 3)
    asked = [{one.asked for one in part} for part in parts.values()]
    assert not asked[0] & asked[1] and not asked[0] & asked[2] and not asked[1] & asked[2]
    assert conversation_parts(twice, (0.5, 0.25, 0.25), 4) != parts
    with pytest.raises(KgptError, match="Too few conversations"):
        conversation_parts(twice[:1], (0.5, 0.25, 0.25), 3)


def test_answers_that_begin_behind_the_context_are_refused(base):
    with pytest.raises(KgptError, match="begins within 4 tokens"):
        planned_chat(base, "short", InstructConfig(max_length=4, shares=SHARES))


def test_a_base_of_gpt2s_shape_learns_too(tmp_path):
    run = tuned_chat(write_base(tmp_path / "gpt2", GPT2_SHAPE), "answers").training.run
    assert find_run("answers", tmp_path).answers and run.checkpoint("best")
