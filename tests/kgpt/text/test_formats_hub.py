"""Data sets through the `datasets` library, from local folders and files in the layouts of the Hub."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.text.formats import hub
from kgpt.text.sources import describe_sources, expand_sources
from tests.kgpt.text.read_files import read, read_skipping

pytest.importorskip("datasets")
CARD = """---
configs:
- config_name: pt
  data_files:
  - {split: train, path: pt.jsonl}
  - {split: test, path: test.jsonl}
- config_name: en
  data_files:
  - {split: dev, path: en.jsonl}
---
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(CARD)
    rows = [{"id": 1, "text": "um"}, {"id": 2, "text": "dois"}]
    (tmp_path / "pt.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "test.jsonl").write_text('{"text": "três"}')
    (tmp_path / "en.jsonl").write_text('{"question": "who?", "answer": "me"}')
    return tmp_path


def test_configurations_and_splits(folder: Path) -> None:
    assert read(f"hf:{folder}:pt") == ["um", "dois"]
    assert read(f"hf:{folder}:pt:test") == ["três"]
    assert read(f"hf:{folder}:en") == ["who?\n\nme"]
    assert read(f"hf:{folder}:pt", text_field="text") == ["um", "dois"]


def test_a_file_is_a_data_set(folder: Path) -> None:
    assert read(f"hf:{folder / 'pt.jsonl'}") == ["um", "dois"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", "no configuration is named; there are: pt, en"),
        (":xx", "no configuration 'xx'; there are: pt, en"),
        (":pt:xx", "no split 'xx'; there are: train, test"),
        ("/missing", "missing"),
    ],
)
def test_what_is_not_there(folder: Path, more: str, message: str) -> None:
    with pytest.raises(KgptError, match=message):
        read(f"hf:{folder}{more}")


def test_rows_without_text(folder: Path) -> None:
    with pytest.raises(KgptError, match="row 1: there is no field 'x'; there are: id, text"):
        read(f"hf:{folder}:pt", text_field="x")
    texts, skipped = read_skipping(f"hf:{folder}:pt", text_field="x")
    assert not texts and len(skipped) == 3  # both rows, and then the source is empty


def test_a_description_changes_with_the_files(folder: Path) -> None:
    name = f"hf:{folder}:pt"
    (before,) = describe_sources(expand_sources([name]))
    assert before["source"] == name
    assert describe_sources(expand_sources([name])) == [before]
    hub._open.cache_clear()
    (folder / "pt.jsonl").write_text('{"text": "outro"}')
    (after,) = describe_sources(expand_sources([name]))
    assert after["sha256"] != before["sha256"]


OFFLINE = """
import sys
if sys.argv[1] == "missing":
    sys.modules["datasets"] = None
from kgpt.errors import KgptError
from kgpt.text.sources import read_documents
try:
    list(read_documents(["hf:nobody/nothing"]))
except KgptError as error:
    print(error.exit_code, error)
"""


@pytest.mark.parametrize(
    ("case", "expected"), [("missing", "pip install 'kgpt[hub]'"), ("offline", "cannot be reached")]
)
def test_without_the_library_and_without_a_network(case: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, case],
        capture_output=True,
        text=True,
        env={"HF_HUB_OFFLINE": "1", "PATH": ""},
    )
    assert expected in done.stdout, done.stderr
    assert done.stdout.startswith("2" if case == "missing" else "1")
