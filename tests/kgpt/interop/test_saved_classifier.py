"""Exports of a classifier, used where only TensorFlow can be imported."""

from __future__ import annotations

import json

import numpy as np
import pytest
from saved_model_answers import answers_of
from tiny import LABELS, write_classifier

from kgpt.commands import main
from kgpt.inference.classification import load_classifier

TEXTS = ["You won a prize", "Olá, coração!", "", "x" * 100, "😀"]
REQUESTS = {
    "classify": ["classify", {"text": TEXTS}],
    "default": ["serving_default", {"text": TEXTS}],
    "alone": ["classify", {"text": TEXTS[1:2]}],
    "nothing": ["classify", {"text": []}],
}


def texts_of(items):
    return [bytes.fromhex(item).decode() for item in items]


@pytest.fixture(scope="module", params=["last", "mean"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / request.param
    return write_classifier(folder, pooling=request.param, max_length=30)


def export(run, folder, *options):
    return main(["export", str(run.path), "--output", str(folder), "--format", *options])


def test_a_saved_model_gives_the_labels_of_the_run(run, tmp_path):
    assert export(run, tmp_path / "saved", "saved-model") == 0
    found = answers_of(tmp_path / "saved", REQUESTS, tmp_path)
    expected = list(load_classifier(run).classify(TEXTS))
    chances = [[item.probabilities[label] for label in LABELS] for item in expected]
    assert len({item.label for item in expected}) > 1
    np.testing.assert_allclose(found["classify"]["probabilities"], chances, atol=1e-5)
    for names in found["classify"]["labels"]:
        assert texts_of(names) == list(LABELS)
    assert texts_of(found["classify"]["label"]) == [item.label for item in expected]
    about = json.loads((tmp_path / "saved" / "assets.extra" / "kgpt.json").read_text())
    assert about["labels"] == list(LABELS) and about["step"] == 10
    assert found["default"] == found["classify"]
    np.testing.assert_allclose(found["alone"]["probabilities"], chances[1:2], atol=1e-5)
    assert found["nothing"]["label"] == []


def test_weights_may_be_halved(run, tmp_path):
    for weights in ("float32", "bfloat16"):
        assert export(run, tmp_path / weights, "saved-model", "--weights", weights) == 0
    sizes = [
        (tmp_path / weights / "variables" / "variables.data-00000-of-00001").stat().st_size
        for weights in ("float32", "bfloat16")
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_a_keras_file_gives_the_same_scores(run, tmp_path):
    import keras

    from kgpt.model.classifier import load_checkpoint_classifier

    assert export(run, tmp_path / "a.keras", "keras") == 0
    ids = np.array([[256, 89, 111, -1]], "int32")
    expected = load_checkpoint_classifier(run, run.checkpoint())(ids)
    found = keras.saving.load_model(tmp_path / "a.keras")(ids)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_options_about_writing_are_refused(run, tmp_path, capsys):
    assert export(run, tmp_path / "refused", "saved-model", "--max-tokens", "3") == 2
    assert "A classifier writes no text" in capsys.readouterr().err
    assert export(run, tmp_path / "refused", "litert") == 2
    assert "Formats that hold it: saved-model, keras" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
