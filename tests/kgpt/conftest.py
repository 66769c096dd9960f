from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny import GPT2_SHAPE, TEXT, memorise, write_run

from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def tiny_model():
    """A GPT-2 shape that knows `tiny.TEXT` by heart, in bytes."""
    return memorise(GPT2_SHAPE, Tokenizer.bytes(), TEXT)


@pytest.fixture(scope="session")
def tiny_run(tiny_model, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The run `tiny` of that model, in a folder of saved models; read only."""
    folder: Path = tmp_path_factory.mktemp("saved_models")
    return write_run(folder / "tiny", tiny_model, Tokenizer.bytes())
