from __future__ import annotations

import pickle

import pytest

import kgpt
from kgpt.errors import KgptError, KgptFailure


def test_a_mistake_and_a_failure_have_their_exit_codes():
    assert KgptError("t", "m").exit_code == 2
    assert KgptFailure("t", "m").exit_code == 1
    assert issubclass(KgptFailure, KgptError) and kgpt.KgptError is KgptError


def test_it_reads_as_its_lines():
    assert str(KgptError("Title", "Message", "Hint")) == "Title\nMessage\nHint"
    assert str(KgptError("Title", "Message")) == "Title\nMessage"


def test_it_travels_between_processes():
    error = pickle.loads(pickle.dumps(KgptFailure("Title", "Message", "Hint")))
    assert (type(error), error.title, error.message, error.hint) == (
        KgptFailure, "Title", "Message", "Hint",
    )  # fmt: skip


def test_a_name_that_kgpt_does_not_have():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        getattr(kgpt, "trian")  # noqa: B009
    assert {"open_run", "train", "TrainConfig", "Tokenizer"} <= set(dir(kgpt))
    assert all(getattr(kgpt, name) for name in kgpt.__all__)
