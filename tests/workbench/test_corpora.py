"""Prepared corpora as the workbench reads them: a real one, and all sorts of damage."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from fixture_corpora import END, a_corpus
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from workbench.corpora import CorpusSummary, random_window, read_corpora


def test_what_prepare_wrote_can_be_read(tmp_path: Path) -> None:
    from kgpt.text.prepare import prepare

    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"Documento {number}: maçã." for number in range(40)))
    prepare(
        [str(text)], output=tmp_path / "data" / "real", tokenizer="bytes", documents="blank-line"
    )
    (corpus,) = read_corpora(tmp_path / "data")
    assert (corpus.name, corpus.problem, corpus.number("documents")) == ("real", "", 40)
    assert corpus.bytes_per_token and 0.8 < corpus.bytes_per_token <= 1
    (name, tokens), *_ = corpus.shards("train")
    window = random_window(corpus, "train", tokens, random.Random(0))
    assert (window.shard, window.place, len(window.ids)) == (name, 0, tokens)
    documents = [bytes(part).decode() for part in window.parts(corpus.number("end_of_text"))]
    assert documents[-1] == "" and all(each.startswith("Documento ") for each in documents[:-1])


def test_windows_come_from_everywhere_and_are_what_lies_there(tmp_path: Path) -> None:
    a_corpus(tmp_path, train=list(range(100)))
    (corpus,) = read_corpora(tmp_path)
    chance, places = random.Random(1), set()
    for _ in range(300):
        window = random_window(corpus, "train", 90, chance)
        assert window.ids == tuple(range(window.place, window.place + 90))
        places.add(window.place)
    assert places == set(range(11))
    assert random_window(corpus, "validation", 90, chance).ids == (5, 6, 7)


def test_wide_tokens(tmp_path: Path) -> None:
    from array import array

    path = a_corpus(tmp_path, dtype="uint32")
    (path / "train-00000.bin").write_bytes(array("I", [70_000] * 400).tobytes())
    (corpus,) = read_corpora(tmp_path)
    assert set(random_window(corpus, "train", 10, random.Random(0)).ids) == {70_000}


def test_ends_of_documents() -> None:
    from workbench.corpora import Window

    window = Window(Path(), "train", "s", 0, (1, END, END, 2, 3))
    assert window.parts(END) == [(1,), (), (2, 3)]
    assert window.parts(None) == [(1, END, END, 2, 3)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [("{", "not a JSON object"), ("[]", "not a JSON object"), ('{"format_version": 2}', "version 2"),
     ('{"a": 1}', "version None")],
)  # fmt: skip
def test_an_unreadable_manifest_says_why(tmp_path: Path, content: str, problem: str) -> None:
    (a_corpus(tmp_path) / "manifest.json").write_text(content)
    (corpus,) = read_corpora(tmp_path)
    assert problem in corpus.problem


def test_folders_that_are_no_corpora_are_passed_over(tmp_path: Path) -> None:
    assert read_corpora(tmp_path / "nowhere") == []
    (tmp_path / "other").mkdir()
    (tmp_path / "file").touch()
    a_corpus(tmp_path, ".half.partial")
    assert read_corpora(tmp_path) == []


def test_damaged_shards_are_errors(tmp_path: Path) -> None:
    path = a_corpus(tmp_path)
    (corpus,) = read_corpora(tmp_path)
    shard = path / "train-00000.bin"
    for damage in (lambda: shard.write_bytes(b"\1"), lambda: shard.write_bytes(b""), shard.unlink):
        damage()
        with pytest.raises(KgptError, match="Damaged corpus"):
            random_window(corpus, "train", 400, random.Random(0))
    with pytest.raises(KgptError, match="Nothing to show"):
        random_window(CorpusSummary("x", path), "train", 5, random.Random(0))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from("shards counts compression sources skipped dtype documents cleaning "
                                       "train_tokens train_bytes end_of_text".split()), JSON))  # fmt: skip
def test_any_manifest_has_a_report(values: dict[str, object]) -> None:
    from workbench.widgets.corpus_report import line, report

    corpus = CorpusSummary(
        "x", Path("x"), "", json.loads(json.dumps({"format_version": 1, **values}))
    )
    assert line(corpus).plain and report(corpus).plain
    try:
        random_window(corpus, "train", 3, random.Random(0))
    except KgptError:
        pass
