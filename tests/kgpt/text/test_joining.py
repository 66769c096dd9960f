from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk import full_disk

from kgpt.errors import KgptError, KgptFailure
from kgpt.files import read_json, write_json
from kgpt.text.joining import join
from kgpt.text.prepare import prepare
from kgpt.text.shards import SPLITS, Corpus, Split

TEXTS = [f"linha {index % 252} {'mar ' * (index % 7)}fim" for index in range(300)]
"""48 of them stand there twice."""
OPTIONS: dict[str, Any] = {
    "tokenizer": "bytes",
    "documents": "line",
    "validation_fraction": 0.2,
    "workers": 1,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "lines.txt"
    path.write_text("\n".join(TEXTS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(source: Path) -> list[Path]:
    """Three parts; read only."""
    return [make(source, source.parent, index, 3) for index in (1, 2, 3)]


@pytest.fixture
def parts(made: list[Path], tmp_path: Path) -> list[Path]:
    """Copies that a test may damage."""
    return [Path(shutil.copytree(part, tmp_path / part.name)) for part in made]


def make(source: Path, folder: Path, index: int, count: int, **options: Any) -> Path:
    part = folder / f"part-{index}-of-{count}"
    prepare([source], part, shard=(index, count), **{**OPTIONS, **options})
    return part


def documents(corpus: Corpus, split: Split) -> list[str]:
    text = corpus.tokenizer.decode(corpus.tokens(split)[:].tolist())
    return text.removesuffix("<|endoftext|>").split("<|endoftext|>")


def stream(corpora: list[Corpus], split: Split) -> list[int]:
    return np.concatenate([corpus.tokens(split)[:] for corpus in corpora]).tolist()


def test_parts_become_one_corpus(made: list[Path], tmp_path: Path) -> None:
    opened = [Corpus.open(part) for part in made]
    joined = join([made[2], made[0], made[1]], tmp_path / "joined")
    joined.verify()
    for split in SPLITS:
        assert joined.tokens(split)[:].tolist() == stream(opened, split)
        assert joined.manifest[f"{split}_bytes"] == sum(
            corpus.manifest[f"{split}_bytes"] for corpus in opened
        )
    assert joined.documents == 300
    found = [Counter(documents(joined, split)) for split in SPLITS]
    assert found[0] + found[1] == Counter(TEXTS)
    assert not found[0].keys() & found[1].keys()
    names = [shard["name"] for shard in joined.manifest["shards"]]
    assert names == [f"{split}-{index:05d}.bin" for split in SPLITS for index in range(3)]
    assert sorted(path.name for path in joined.folder.iterdir()) == sorted(
        [*names, "manifest.json", "tokenizer"]
    )


def test_the_parts_share_no_document(made: list[Path]) -> None:
    found = [
        {text for split in SPLITS for text in documents(Corpus.open(part), split)} for part in made
    ]
    assert all(len(texts) > 50 for texts in found)
    assert sum(map(len, found)) == len(set.union(*found)) == len(set(TEXTS))


def test_parts_of_whole_sources(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for index in range(6):
        lines = [f"{index} {text}" for text in TEXTS[index * 50 : index * 50 + 50]]
        (tmp_path / "texts" / f"{index}.txt").write_text("\n".join(lines), encoding="utf-8")
    joined = join([make(tmp_path / "texts", tmp_path, i, 2) for i in (1, 2)], tmp_path / "joined")
    found = Counter(text for split in SPLITS for text in documents(joined, split))
    assert found == Counter(f"{index // 50} {text}" for index, text in enumerate(TEXTS))
    first = documents(Corpus.open(tmp_path / "part-1-of-2"), "train")
    assert {text[0] for text in first} == set("024")


def test_the_manifest_adds_up(source: Path, tmp_path: Path) -> None:
    options = {"dedupe": "exact", "clean": ["min-length=12"]}
    parts = [make(source, tmp_path, index, 2, **options) for index in (1, 2)]
    whole = prepare([source], tmp_path / "whole", **OPTIONS, **options).manifest
    joined = join(parts, tmp_path / "joined").manifest
    for name in ("cleaning", "sources", "options"):
        assert joined[name] == whole[name], name
    assert joined["cleaning"]["min-length"]["dropped"] > 0
    # How many are held out is right on average only, where parts do not know of each other.
    counts = [{**manifest["counts"], "validation": 0} for manifest in (joined, whole)]
    assert counts[0] == counts[1]
    assert counts[0]["removed_duplicates"] > 0
    assert joined["counts"]["validation"] == sum(
        Corpus.open(part).manifest["counts"]["validation"] for part in parts
    )
    for name in ("bytes_per_token", "tokens_per_word"):
        assert joined["compression"][name] == pytest.approx(whole["compression"][name], rel=1e-3)


def test_what_every_part_skipped_is_counted_once(parts: list[Path], tmp_path: Path) -> None:
    for part in parts:
        manifest = read_json(part / "manifest.json")
        write_json(part / "manifest.json", {**manifest, "skipped": {"broken row": 7}})
    assert join(parts, tmp_path / "joined").manifest["skipped"] == {"broken row": 7}


def test_compression_weighs_parts_by_their_bytes(parts: list[Path], tmp_path: Path) -> None:
    sizes, tokens, words = [], [40.0, 100.0, 1000.0], [20.0, 30.0, 400.0]
    for part, token_count, word_count in zip(parts, tokens, words, strict=True):
        manifest = read_json(part / "manifest.json")
        size = manifest["train_bytes"] + manifest["validation_bytes"]
        figures = {
            "bytes_per_token": size / token_count,
            "tokens_per_word": token_count / word_count,
        }
        write_json(
            part / "manifest.json", {**manifest, "compression": {**figures, "gpt2": figures}}
        )
        sizes.append(size)
    found = join(parts, tmp_path / "joined").manifest["compression"]
    for figures in (found, found["gpt2"]):
        assert figures["bytes_per_token"] == pytest.approx(sum(sizes) / sum(tokens))
        assert figures["tokens_per_word"] == pytest.approx(sum(tokens) / sum(words))


def test_gpt2_is_left_out_unless_every_part_has_it(parts: list[Path], tmp_path: Path) -> None:
    manifest = read_json(parts[1] / "manifest.json")
    manifest["compression"]["gpt2"] = None
    write_json(parts[1] / "manifest.json", manifest)
    assert join(parts, tmp_path / "joined").manifest["compression"]["gpt2"] is None


def test_a_part_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n".join(TEXTS[:6]), encoding="utf-8")
    parts = [
        make(tmp_path / "few.txt", tmp_path, index, 9, validation_fraction=0.5)
        for index in range(1, 10)
    ]
    assert any(Corpus.open(part).documents == 0 for part in parts)
    joined = join(parts, tmp_path / "joined")
    found = [text for split in SPLITS for text in documents(joined, split)]
    assert Counter(found) == Counter(TEXTS[:6])


# === Files ===


def test_shards_are_linked(parts: list[Path], tmp_path: Path) -> None:
    joined = join(parts, tmp_path / "joined")
    linked = os.stat(joined.folder / "train-00001.bin")
    assert linked.st_ino == os.stat(parts[1] / "train-00000.bin").st_ino
    shutil.rmtree(parts[1])
    joined.verify()


def test_shards_are_copied_where_they_cannot_be_linked(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    joined = join(parts, tmp_path / "joined")
    joined.verify()
    copy = os.stat(joined.folder / "train-00001.bin")
    assert copy.st_ino != os.stat(parts[1] / "train-00000.bin").st_ino


def test_a_full_disk_leaves_what_was_there(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(KgptFailure), full_disk(500):
        join(parts, tmp_path / "joined")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


# === Again ===


def test_the_same_join_again_does_nothing(parts: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    join(parts, tmp_path / "joined", report=said.append)
    written = os.stat(tmp_path / "joined").st_ino
    again = join(parts[::-1], tmp_path / "joined", report=said.append)
    assert os.stat(again.folder).st_ino == written
    assert said == ["Joining 3 parts", f"Nothing has changed: {tmp_path / 'joined'} is up to date."]


def test_a_changed_part_makes_it_stale(source: Path, parts: list[Path], tmp_path: Path) -> None:
    join(parts, tmp_path / "joined")
    manifest = read_json(parts[1] / "manifest.json")
    write_json(parts[1] / "manifest.json", {**manifest, "counts": {"read": 1}})
    with pytest.raises(KgptError, match=r"stale: part 2/3 has changed(.|\n)*--overwrite"):
        join(parts, tmp_path / "joined")
    joined = join(parts, tmp_path / "joined", overwrite=True)
    assert joined.manifest["counts"]["read"] < 300


def test_an_output_that_is_something_else(
    parts: list[Path], source: Path, made: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("years of work")
    with pytest.raises(KgptError, match="not prepared data"):
        join(parts, tmp_path / "thesis", overwrite=True)
    prepare([source], tmp_path / "whole", **OPTIONS)
    with pytest.raises(KgptError, match="not joined from parts"):
        join(parts, tmp_path / "whole")
    assert join(parts, tmp_path / "whole", overwrite=True).manifest["parts"]
    with pytest.raises(KgptError, match="one of the parts"):
        join(parts, parts[0], overwrite=True)


def test_a_damaged_output_is_said_to_be_and_replaced(parts: list[Path], tmp_path: Path) -> None:
    (join(parts, tmp_path / "joined").folder / "train-00000.bin").unlink()
    with pytest.raises(KgptError, match="missing"):
        join(parts, tmp_path / "joined")
    join(parts, tmp_path / "joined", overwrite=True).verify()


def test_a_name_goes_into_the_data_folder(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGPT_DATA", str(tmp_path))
    assert join([part.name for part in parts], "joined").folder == tmp_path / "joined"


# === Parts that do not belong together ===


def test_missing_and_double_parts(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(KgptError, match=r"Expected 3 parts. Received: 1, without 1, 3"):
        join(parts[1:2], tmp_path / "joined")
    copy = shutil.copytree(parts[1], tmp_path / "copy")
    with pytest.raises(KgptError, match=r"2/3 was given as .*part-2-of-3 and as .*copy"):
        join([*parts, copy], tmp_path / "joined")
    with pytest.raises(KgptError, match="No parts"):
        join([], tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"seed": 2}, "seed is 1 and 2"),
        ({"dedupe": "exact", "seed": 3}, r"seed is 1 and 3; dedupe is off and exact"),
        ({"tokenizer": "other"}, r"tokenizers differ \(\w{8} and \w{8}\)"),
    ],
)
def test_other_options(
    parts: list[Path],
    source: Path,
    tmp_path: Path,
    trained: Any,
    options: dict[str, Any],
    difference: str,
) -> None:
    if "tokenizer" in options:
        options = {"tokenizer": trained}
    (tmp_path / "new").mkdir()
    other = make(source, tmp_path / "new", 2, 3, **options)
    with pytest.raises(KgptError, match=difference):
        join([parts[0], other, parts[2]], tmp_path / "joined")


def test_another_number_of_parts_and_another_text(
    parts: list[Path], source: Path, tmp_path: Path
) -> None:
    with pytest.raises(KgptError, match=r"one is of 3 parts, the other of 4"):
        join([*parts, make(source, tmp_path, 2, 4)], tmp_path / "joined")
    (tmp_path / "other.txt").write_text("\n".join(TEXTS[::-1]), encoding="utf-8")
    (tmp_path / "new").mkdir()
    other = make(tmp_path / "other.txt", tmp_path / "new", 3, 3)
    with pytest.raises(KgptError, match="different text"):
        join([*parts[:2], other], tmp_path / "joined")


def test_a_whole_corpus_is_no_part(parts: list[Path], source: Path, tmp_path: Path) -> None:
    prepare([source], tmp_path / "whole", **OPTIONS)
    with pytest.raises(KgptError, match="Not a part"):
        join([parts[0], tmp_path / "whole"], tmp_path / "joined")
    with pytest.raises(KgptError, match="kgpt prepare"):
        join([parts[0], tmp_path / "nothing"], tmp_path / "joined")


def test_damage_is_found_on_the_way(parts: list[Path], tmp_path: Path) -> None:
    shard = parts[1] / "train-00000.bin"
    content = bytearray(shard.read_bytes())
    content[10] ^= 1
    shard.write_bytes(content)
    with pytest.raises(KgptError, match=r"part 2/3\): the content of train-00000.bin was changed"):
        join(parts, tmp_path / "joined")
    shard.write_bytes(content[:-2])
    with pytest.raises(KgptError, match=r"train-00000.bin has"):
        join(parts, tmp_path / "joined")
    assert not (tmp_path / "joined").exists()


def test_both_sides_must_have_text(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("um só documento")
    parts = [make(tmp_path / "one.txt", tmp_path, index, 2) for index in (1, 2)]
    with pytest.raises(KgptError, match=r"Too little text(.|\n)*the (train|validation) side"):
        join(parts, tmp_path / "joined")
