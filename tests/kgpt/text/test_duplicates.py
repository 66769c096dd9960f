"""Exact and near duplicates: what a plain dictionary finds, what brute force finds, in little memory."""

import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from peak_memory import PEAK

from kgpt.errors import KgptFailure
from kgpt.text import duplicates as module
from kgpt.text import grouping
from kgpt.text.duplicates import exact_duplicates, near_duplicates
from kgpt.text.signatures import signature, signatures
from tests.kgpt.disk import full_disk
from tests.kgpt.text.test_signatures import words

SPREAD = 0x9E3779B97F4A7C15
# Hashes of few different values, and values that differ in their lower bits alone.
hashes = st.builds(lambda number, is_spread: number * SPREAD % 2**64 if is_spread else number,
                   st.integers(0, 12), st.booleans())  # fmt: skip
in_memory = st.sampled_from([3, 10, 1 << 20])


def first_copies(keys: list[int]) -> list[bool]:
    seen: dict[int, int] = {}
    return [seen.setdefault(key, place) != place for place, key in enumerate(keys)]


def near_an_earlier_kept(bands: list[tuple[int, ...]], skip: list[bool]) -> list[bool]:
    """The definition, in quadratic time."""
    kept: list[tuple[int, ...]] = []
    result = []
    for row, is_skipped in zip(bands, skip, strict=True):
        is_near = any(
            one == other for earlier in kept for one, other in zip(row, earlier, strict=True)
        )
        result.append(is_near and not is_skipped)
        if not is_near and not is_skipped:
            kept.append(row)
    return result


def with_memory(pairs: int) -> pytest.MonkeyPatch:
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "PAIRS_IN_MEMORY", pairs)
    patch.setattr(grouping, "PAIRS_IN_MEMORY", pairs)
    return patch


@given(st.lists(hashes, max_size=80), in_memory)
@settings(max_examples=150, deadline=None)
def test_exact_duplicates_are_those_of_a_dictionary(keys: list[int], pairs: int) -> None:
    patch = with_memory(pairs)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = exact_duplicates(np.array(keys, np.uint64), Path(folder))
            assert found.tolist() == first_copies(keys)
    finally:
        patch.undo()


@given(
    st.lists(st.tuples(hashes, hashes, hashes, st.booleans()), max_size=60),
    st.booleans(),
    in_memory,
)
@settings(max_examples=150, deadline=None)
def test_near_duplicates_are_those_of_the_definition(
    rows: list[tuple[int, int, int, bool]], with_skip: bool, pairs: int
) -> None:
    bands = [
        tuple((value * 3 + band) % 2**64 for band, value in enumerate(row[:3])) for row in rows
    ]
    skip = [row[3] and with_skip for row in rows]
    patch = with_memory(pairs)
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = near_duplicates(
                np.array(bands, np.uint64).reshape(-1, 3),
                Path(folder),
                np.array(skip, bool) if with_skip else None,
            )
            assert found.tolist() == near_an_earlier_kept(bands, skip)
    finally:
        patch.undo()


def edited(text: list[str], edits: int) -> str:
    """A text with `edits` of its words replaced, far apart."""
    result = list(text)
    for place in range(edits):
        result[5 + place * (len(text) - 10) // edits] = f"trocada{place}"
    return " ".join(result)


def test_light_edits_are_found_and_heavy_ones_stay(tmp_path: Path) -> None:
    """Of 200 documents of 300 words, copies with 2 (similarity 0.93) and with 30 words replaced (0.33)."""
    originals = [words(300, seed) for seed in range(200)]
    texts = [" ".join(text) for text in originals]
    texts += [edited(text, 2) for text in originals] + [edited(text, 30) for text in originals]
    found = near_duplicates(signatures(texts), tmp_path)
    assert not found[:200].any()
    assert found[200:400].sum() >= 190
    assert found[400:].sum() <= 2


def test_a_chain_does_not_carry_on(tmp_path: Path) -> None:
    bands = np.array([[1, 2, 3], [1, 4, 5], [6, 4, 7]], np.uint64)
    assert near_duplicates(bands, tmp_path).tolist() == [False, True, False]


def test_what_is_out_already_takes_no_part(tmp_path: Path) -> None:
    bands = np.array([[1], [1], [1]], np.uint64)
    assert near_duplicates(bands, tmp_path).tolist() == [False, True, True]
    skip = np.array([True, False, False])
    assert near_duplicates(bands, tmp_path, skip).tolist() == [False, False, True]


def test_memory_maps_are_read_and_left_as_they_were(tmp_path: Path) -> None:
    bands = np.stack(
        [signature(f"texto número {place % 70} da coleção inteira") for place in range(100)]
    )
    path = tmp_path / "bands.bin"
    path.write_bytes(bands.tobytes())
    mapped = np.memmap(path, np.uint64, "r+", shape=bands.shape)
    assert near_duplicates(mapped, tmp_path).tolist() == [False] * 70 + [True] * 30
    assert exact_duplicates(mapped[:, 0], tmp_path).tolist() == [False] * 70 + [True] * 30
    assert (mapped == bands).all()
    assert path.read_bytes() == bands.tobytes()
    results = {"bands.bin", "exact-duplicates.bin", "near-duplicates.bin"}
    assert {file.name for file in tmp_path.iterdir()} == results


def test_the_result_is_a_file_that_can_be_read_again(tmp_path: Path) -> None:
    found = exact_duplicates(np.array([5, 5], np.uint64), tmp_path)
    assert isinstance(found, np.memmap)
    assert (tmp_path / "exact-duplicates.bin").read_bytes() == b"\x00\x01"
    assert exact_duplicates(np.zeros(0, np.uint64), tmp_path).shape == (0,)


def test_a_full_disk_is_said_so_and_nothing_is_left(tmp_path: Path) -> None:
    keys = np.arange(3_000_000, dtype=np.uint64) * np.uint64(SPREAD)
    with full_disk(1 << 22), pytest.raises(KgptFailure, match="too large"):
        near_duplicates(keys[:, None], tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    with pytest.raises(KgptFailure, match="Cannot write"):
        exact_duplicates(keys[:10], tmp_path / "missing")


MEASURE = (
    PEAK
    + """
import sys
from pathlib import Path
import numpy as np
from kgpt.text.duplicates import exact_duplicates, near_duplicates

folder = Path(sys.argv[1])
keys = np.memmap(folder / "keys", np.uint64, "r")
before = peak()
copies = exact_duplicates(keys, folder)
print(int(copies.sum()), (peak() - before) / 1024)
before = peak()
near = near_duplicates(keys.reshape(-1, 10), folder)
print(int(near.sum()), (peak() - before) / 1024)
"""
)


def test_memory_stays_small_for_millions_of_documents(tmp_path: Path) -> None:
    """Five million keys, of which a million are one and the same, and as many bands; growth in MiB."""
    dealer = np.random.default_rng(0)
    with open(tmp_path / "keys", "wb") as file:
        for _ in range(5):
            keys = dealer.integers(0, 2**64, 1_000_000, np.uint64)
            keys[::5] = 7
            file.write(keys.tobytes())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    (copies, growth), (near, near_growth) = (line.split() for line in done.stdout.splitlines())
    assert int(copies) == 999_999
    assert int(near) == 499_999
    assert float(growth) < 100
    assert float(near_growth) < 100
