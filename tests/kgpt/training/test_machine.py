from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kgpt import language
from kgpt.errors import KgptError
from kgpt.training import machine
from kgpt.training.machine import gigabytes, parse_bytes, parse_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("8GB", 8 * 10**9), ("8 gb", 8 * 10**9), ("8G", 8 * 10**9), ("1.5 GiB", 3 * 2**29), ("512M", 512 * 10**6),
        ("512MiB", 2**29), ("1000", 1000), ("2TB", 2 * 10**12), ("64k", 64000), ("1,000 B", 1000),
    ],
)  # fmt: skip
def test_amounts_of_memory(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize(("spoken", "large"), [("en", "1,234.5 GB"), ("pt_BR", "1.234,5 GB")])
def test_sizes_are_written_as_the_language_writes_numbers(spoken, large, monkeypatch):
    for name in ("_language", "_catalog"):
        monkeypatch.setattr(language, name, None)
    language.use(spoken)
    assert gigabytes(1_234_500_000_000) == large and gigabytes(99_000_000) == "99 MB"


@pytest.mark.parametrize("text", ["", "GB", "eight", "-8GB", "0", "8XB", "1e999GB", "nan", "8 8"])
def test_what_is_no_amount_of_memory(text):
    with pytest.raises(KgptError) as caught:
        parse_bytes(text)
    assert repr(text) in caught.value.message and "8GB" in caught.value.message


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("300e9", 300 * 10**9), ("300B", 300 * 10**9), ("300G", 300 * 10**9), ("300g", 300 * 10**9),
        ("0.5M", 500_000), ("1,000", 1000), ("2T", 2 * 10**12), ("1e+6", 10**6), ("7", 7), ("10k", 10_000),
    ],
)  # fmt: skip
def test_counts_of_tokens(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "many", "0", "-5", "1e999", "3x", "1.2.3", "e9"])
def test_what_is_no_count(text):
    with pytest.raises(KgptError) as caught:
        parse_count(text)
    assert repr(text) in caught.value.message and "300e9" in caught.value.message


def test_the_memory_of_this_machine_lies_below_all_that_it_has():
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < machine.available_memory() <= whole
    assert 10**7 < machine.own_memory() < whole


def test_memory_given_replaces_memory_found():
    found = machine.this_machine(8 * 10**9)
    assert found.memory == 8 * 10**9 and "8.0 GB" in found.described


def test_a_gpu_is_asked_of_its_driver(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81000'\necho 'Another, 5'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.nvidia_gpu() == ("NVIDIA H100 80GB HBM3", 81000 * 2**20)
    assert machine.this_machine().memory == 81000 * 2**20
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine.nvidia_gpu() is None


@pytest.mark.parametrize("says", ["exit 9", "echo 'No devices were found'", "true"])
def test_a_driver_without_a_gpu_is_no_gpu(tmp_path, monkeypatch, says):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert machine.nvidia_gpu() is None


def test_a_container_has_its_limit(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000000000\n")
    (tmp_path / "memory.current").write_text("1000000000\n")
    monkeypatch.setattr(machine, "CONTROL_GROUP", Path(tmp_path))
    assert machine.available_memory() <= 2 * 10**9
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.available_memory() > 0


def test_the_rate_of_matrix_products_is_one_that_machines_have():
    rate = machine.matrix_product_rate(0.05)
    assert np.isfinite(rate) and 10**8 < rate < 10**15


def test_cores_are_no_more_than_the_processors_that_may_be_used():
    assert 1 <= machine.cores() <= len(os.sched_getaffinity(0))


def test_two_threads_of_a_core_count_once(tmp_path, monkeypatch):
    for number, siblings in ((0, "0-1"), (1, "0-1"), (2, "2")):
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    monkeypatch.setattr(machine, "CPUS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    assert machine.cores() == 2
    (tmp_path / "cpu2" / "topology" / "thread_siblings_list").unlink()
    assert machine.cores() == 3
