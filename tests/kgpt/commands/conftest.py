from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small prepared corpus in bytes."""
    from kgpt.text.prepare import prepare

    folder = tmp_path_factory.mktemp("data")
    lines = [f"O número {n} vem antes do número {n + 1}.\n" for n in range(200)]
    (folder / "numbers.txt").write_text("".join(lines), encoding="utf-8")
    options = {"tokenizer": "bytes", "validation": "tail"}
    return prepare([folder / "numbers.txt"], folder / "numbers", **options).folder
