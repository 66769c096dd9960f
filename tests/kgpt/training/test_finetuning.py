"""Fine-tuning from Python: what a run leaves, that it goes on where it stopped, and what trains."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from finetuned import planned, tuned, write_base, write_texts
from stop_at import StopAt
from tiny import GPT2_SHAPE

from kgpt.errors import KgptError
from kgpt.finetune_config import ClassifyConfig, LoraConfig
from kgpt.model.tensors import base_tensors, checkpoint_tensors, is_adapter, load_tensors

SHARES = ("0.6", "0.2", "0.2")
LORA = ClassifyConfig(lora=LoraConfig(rank=2, alpha=4.0, dropout=0.2), shares=SHARES)
EVERYTHING = ClassifyConfig(head_dropout=0.2, token_dropout=0.1, pooling="mean", shares=SHARES)
TIMES = ("seconds", "tokens_per_second")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("runs") / "base")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("data") / "texts.tsv")


@pytest.fixture(scope="module")
def whole(base, data):
    """A run of everything, with dropout in each place, from beginning to end."""
    return tuned(base, data, "whole", EVERYTHING)


@pytest.fixture(scope="module")
def adapted(base, data):
    return tuned(base, data, "adapted", LORA)


def timeless(run):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in run.metrics()]


def saved(run, step):
    folder = run.checkpoints_folder / f"step-{step:08d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def test_a_run_leaves_its_task_its_parts_and_its_figures(whole, base, data):
    run = whole.training.run
    assert whole.training.finished and whole.training.steps == 9
    assert run.status()["state"] == "finished"
    values = run.read()
    assert (values["task"], values["parent"]["run"]) == ("classification", "base")
    assert values["parent"]["step"] == 10
    assert values["finetuning"]["labels"] == ["ham", "spam"]
    assert values["data"]["path"] == str(data)
    rows = {name: part["examples"] for name, part in values["data"]["parts"].items()}
    assert rows == {"train": 24, "validation": 8, "test": 8}
    for name, count in rows.items():
        lines = (run.examples_folder / f"{name}.jsonl").read_text().splitlines()
        assert len(lines) == count and set(json.loads(lines[0])) == {"text", "label"}
    assert json.loads(run.results_file.read_text()) == whole.results
    measured = [row for row in run.metrics() if "validation_loss" in row]
    assert [row["step"] for row in measured] == [3, 6, 9]
    best = min(measured, key=lambda row: row["validation_loss"])
    assert run.checkpoint("best").step == best["step"] == whole.results["step"]
    assert whole.results["validation"]["loss"] == pytest.approx(best["validation_loss"], rel=1e-4)
    assert whole.results["validation"]["accuracy"] == best["validation_accuracy"]
    assert whole.results["test"]["examples"] == 8
    assert (run.path / "report.html").is_file()


def test_it_learns_what_the_labels_are(whole):
    losses = [row["train_loss"] for row in whole.training.run.metrics() if "train_loss" in row]
    assert losses[-1] < 0.25 < 0.6 < losses[0]
    assert whole.results["test"]["accuracy"] == 1.0


def test_the_classifier_gives_the_figures_that_training_reports(whole, adapted):
    from kgpt.evaluation.classification import figures
    from kgpt.inference.classification import load_classifier
    from kgpt.training.finetuning import read_part

    for outcome in (whole, adapted):
        run = outcome.training.run
        test = read_part(run, "test")
        found = load_classifier(run)
        labels = [found.labels.index(example.label) for example in test]
        chances = found.probabilities([example.text for example in test])
        again = figures(chances, labels, found.labels)
        assert again.loss == pytest.approx(outcome.results["test"]["loss"], rel=1e-3)
        assert again.confusion.tolist() == outcome.results["test"]["confusion"]


def test_a_text_has_the_same_chances_alone_and_among_others(whole):
    from kgpt.inference.classification import load_classifier

    classifier = load_classifier(whole.training.run)
    texts = ["win", "see you at seven o'clock, dear", "x" * 500, ""]
    together = classifier.probabilities(texts)
    assert together.sum(axis=1) == pytest.approx([1.0] * 4)
    for text, chances in zip(texts, together, strict=True):
        np.testing.assert_allclose(classifier.probabilities([text])[0], chances, atol=1e-5)
    cut = "x" * (classifier.longest - 1)
    np.testing.assert_allclose(classifier.probabilities([cut])[0], together[2], atol=1e-5)


@pytest.mark.parametrize("kind", ["whole", "adapted"])
def test_a_stopped_run_goes_on_to_the_very_same_end(base, data, request, kind):
    from kgpt.training.finetuning import resume_classifier

    first = request.getfixturevalue(kind).training.run
    settings = LORA if kind == "adapted" else EVERYTHING
    part = tuned(base, data, f"part-{kind}", settings, reporter=StopAt(4))
    assert part.results is None and not part.training.finished and part.training.steps < 9
    resumed = resume_classifier(part.training.run, {})
    assert resumed.training.finished
    assert timeless(part.training.run) == timeless(first)
    assert saved(part.training.run, 9) == saved(first, 9) != {}
    assert resumed.results == request.getfixturevalue(kind).results


def test_adapters_are_saved_apart_and_the_base_is_not_copied(adapted, base):
    run = adapted.training.run
    tensors = load_tensors(run.adapter_folder / "weights.safetensors")
    assert {path for path in tensors if not is_adapter(path)} == {
        "classifier/label_head/kernel",
        "classifier/label_head/bias",
    }
    assert len(tensors) == 2 + 2 * 2 * 7
    best = run.checkpoint("best")
    for path, tensor in load_tensors(best.path / best.weights_file).items():
        np.testing.assert_array_equal(tensors[path], tensor)
    about = json.loads((run.adapter_folder / "adapter.json").read_text())
    assert about["finetuning"]["lora"] == {
        "rank": 2, "alpha": 4.0, "dropout": 0.2, "targets": list(LORA.lora.targets),
    }  # fmt: skip
    assert about["step"] == best.step and about["parent"]["run"] == "base"
    own = base.checkpoint()
    assert run.base_file.samefile(own.path / own.weights_file)


def test_merged_adapters_are_the_base_and_a_product(adapted, base):
    run = adapted.training.run
    best = run.checkpoint("best")
    adapters = load_tensors(best.path / best.weights_file)
    own = base.checkpoint()
    before = load_tensors(own.path / own.weights_file)
    after = checkpoint_tensors(run, best)
    changed = 0
    for path, tensor in before.items():
        stem = path.removesuffix("/kernel")
        if f"{stem}/adapter_down" in adapters:
            product = adapters[f"{stem}/adapter_down"] @ adapters[f"{stem}/adapter_up"]
            tensor = tensor + 4.0 / 2 * product
            changed += 1
        np.testing.assert_allclose(after[path], tensor, atol=1e-6)
    assert changed == 14


def test_several_adapters_live_on_one_base(adapted, base, data):
    other = dataclasses.replace(LORA, lora=LoraConfig(rank=1, targets=("value",)))
    second = tuned(base, data, "second", other, seed=7, steps=3, epochs=0.0).training.run
    first = adapted.training.run
    assert first.base_file.samefile(second.base_file)
    sizes = [
        sum(
            tensor.size
            for tensor in load_tensors(run.adapter_folder / "weights.safetensors").values()
        )
        for run in (first, second)
    ]
    assert sizes[1] < sizes[0]


def test_an_adapter_on_another_base_is_refused(adapted, base, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(adapted.training.run.path, copy)
    run = dataclasses.replace(adapted.training.run, path=copy)
    assert base_tensors(run, run.read())
    run.base_file.unlink()
    other = write_base(tmp_path / "other", seed=2).checkpoint()
    shutil.copyfile(other.path / other.weights_file, run.base_file)
    with pytest.raises(KgptError, match="the adapters were trained on") as caught:
        checkpoint_tensors(run, run.checkpoint())
    assert caught.value.title == "Adapter for another base"


def test_what_does_not_train_stays(base, data):
    from kgpt.training.distribution import Devices

    own = base.checkpoint()
    before = load_tensors(own.path / own.weights_file)
    for layers, trained in (("head", set()), ("last-1", {"block_1", "final_norm"})):
        settings = ClassifyConfig(train_layers=layers, shares=SHARES)
        outcome = tuned(base, data, layers, settings, steps=3, epochs=0.0)
        best = outcome.training.run.checkpoint("last")
        after = load_tensors(best.path / best.weights_file)
        changed = {
            path.split("/")[1]
            for path, tensor in before.items()
            if not np.array_equal(after[path], tensor)
        }
        assert changed == trained
    plan = planned(base, data, "all")
    model = plan.task.model(plan.config, Devices())
    assert {weight.path.split("/")[-2] for weight in model.weights if not weight.trainable} == {
        "head"  # an untied head scores tokens, which nobody asks for
    }


def test_training_ends_when_the_validation_loss_does_not_fall(base, tmp_path):
    rows = ["label\ttext", *["ham\thello", "spam\thello"] * 20]  # nobody can tell
    (tmp_path / "same.tsv").write_text("\n".join(rows) + "\n")
    settings = ClassifyConfig(duplicates="keep", shares=SHARES)
    data = tmp_path / "same.tsv"
    outcome = tuned(base, data, "still", settings, epochs=100.0, early_stopping=2)
    assert outcome.training.finished and outcome.training.steps < 300
    losses = [
        (row["validation_loss"], row["step"])
        for row in outcome.training.run.metrics()
        if "validation_loss" in row
    ]
    best = min(losses)[1]
    assert outcome.results["step"] == best == losses[-3][1]
    assert outcome.results["test"]["loss"] == pytest.approx(0.693, abs=0.05)


def test_examples_that_were_changed_are_noticed(whole, tmp_path):
    from kgpt.training.finetuning import resume_classifier

    copy = tmp_path / "copy"
    shutil.copytree(whole.training.run.path, copy)
    run = dataclasses.replace(whole.training.run, path=copy)
    (run.examples_folder / "train.jsonl").write_text('{"text": "a", "label": "ham"}\n')
    with pytest.raises(KgptError, match="train.jsonl is not what the run was trained with"):
        resume_classifier(run, {"steps": 20, "epochs": 0.0})


# === Plans, in which nothing is trained ===


def test_a_plan_follows_its_settings_and_writes_nothing(base, data):
    plan = planned(base, data, "nothing")
    assert not plan.run.path.exists()
    assert plan.config.steps == 9
    assert planned(base, data, "n", epochs=5.0).config.steps == 15
    assert planned(base, data, "n", batch_size=4).config.steps == 18
    every = planned(base, data, "n", every_epoch=True, batch_size=4).config
    assert (every.evaluate_every, every.checkpoint_every) == (6, 6)
    short = planned(base, data, "n", ClassifyConfig(max_length=5, shares=SHARES)).task
    assert short.longest == 5 and max(map(len, short.rows["train"].rows)) == 5
    assert short.rows["test"].cut == 8 and plan.task.rows["test"].cut < 8
    assert plan.task.longest == 40
    other = planned(base, data, "n", seed=3)
    assert other.task.parts.train != plan.task.parts.train


def test_class_weights_make_labels_count_alike(base, tmp_path):
    rows = [f"ham\tmessage {n}" for n in range(40)] + [f"spam\toffer {n}" for n in range(10)]
    (tmp_path / "few.tsv").write_text("\n".join(rows) + "\n")
    for weighted in (False, True):
        settings = ClassifyConfig(class_weights=weighted, shares=SHARES)
        plan = planned(base, tmp_path / "few.tsv", "n", settings)
        batches = plan.task.batches(plan.config)
        sums = [batches.weights[batches.labels == label].sum() for label in (0, 1)]
        assert sums == pytest.approx([15.0, 15.0] if weighted else [24.0, 6.0])
    balanced = planned(base, tmp_path / "few.tsv", "n", ClassifyConfig(balance=True, shares=SHARES))
    assert len(balanced.task.parts.train) == 12 and balanced.task.parts.set_aside == 30


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"gradient_accumulation": 2}, "gradient_accumulation=2"),
        ({"distribute": "mirrored"}, "distribute='mirrored'"),
        ({"z_loss": 1e-4}, "z_loss=0.0001"),
        ({"sample_prompts": ("Oi",)}, "sample_prompts"),
    ],
)
def test_what_classifiers_do_not_do_is_refused(base, data, changes, received):
    with pytest.raises(KgptError, match=received):
        planned(base, data, "n", **changes)


def test_a_classifier_is_no_base_and_a_base_keeps_its_shape(whole, base, data):
    with pytest.raises(KgptError, match="whole is a classifier itself"):
        planned(whole.training.run, data, "n")
    with pytest.raises(KgptError, match="The tokenizer of base is another"):
        planned(base, data, "n", model=dataclasses.replace(GPT2_SHAPE, vocabulary_size=300))
