from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from kgpt.errors import KgptError
from kgpt.training.devices import TABLE, read_assumptions

NAMES = list(tomllib.loads(TABLE.read_text(encoding="utf-8"))["devices"])


@pytest.mark.parametrize("name", NAMES)
def test_every_device_that_is_shipped_can_be_read(name):
    device, assumed = read_assumptions(name)
    assert device.flops("float32") > 0 and device.flops("float16") > 0
    assert 0 < assumed.efficiency <= 1


def test_names_are_found_however_they_are_written():
    assert read_assumptions("H100")[0] == read_assumptions("h100")[0]
    assert read_assumptions("RTX 4090")[0] == read_assumptions("rtx_4090")[0]


@pytest.mark.parametrize(
    ("name", "near"), [("h1000", "h100"), ("a10", "a100"), ("rtx4090", "rtx-4090")]
)
def test_an_unknown_device_gets_the_nearest_name(name, near):
    with pytest.raises(KgptError) as caught:
        read_assumptions(name)
    assert f"Did you mean {near}?" in caught.value.message
    assert all(known in caught.value.hint for known in NAMES)


def test_a_file_of_ones_own_replaces_and_adds(tmp_path: Path):
    own = tmp_path / "own.toml"
    own.write_text(
        "[assumptions]\nefficiency = 0.25\n[devices.h100]\nprice_per_hour = 9\n[devices.mine]\nname = 'Mine'\n"
        "memory_gb = 1\nmemory_gb_per_second = 1\nfloat32_tflops = 1\nnode_devices = 1\nnode_gb_per_second = 1\n"
        "network_gb_per_second = 1\nwatts = 1\nprice_per_hour = 0\n"
    )
    device, assumed = read_assumptions("h100", own)
    assert device.price_per_hour == 9 and device.memory_gb == 80 and assumed.efficiency == 0.25
    assert assumed.overlap == read_assumptions("h100")[1].overlap
    mine, _ = read_assumptions("mine", own)
    assert mine.name == "Mine" and mine.flops("bfloat16") == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[assumptions]\nefficency = 0.5", "Did you mean efficiency?"),
        ("[assumptions]\nefficiency = 1.5", "between 0 and 1"),
        ("[assumptions]\nefficiency = 'high'", "a number"),
        ("[assumptions]\nlogit_tokens = 1.5", "a whole number"),
        ("[assumptions]\nefficiency = nan", "Received: nan"),
        ("[assumptions]\noverhead_power = 0.5", "above 1, or 1"),
        ("[devices.h100]\nmemory_gb = -1", "devices.h100.memory_gb"),
        ("[devices.h100]\nmemory_gb = true", "devices.h100.memory_gb"),
        ("[device.h100]\nmemory_gb = 80", "'device'"),
        ("devices = 5", "table"),
        ("[devices]\nh100 = 5", "table"),
        ("assumptions = 1", "table"),
        ("not toml", "own.toml"),
        ("[devices.h100]\nname = 5", "a text"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text, words):
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(KgptError) as caught:
        read_assumptions("h100", own)
    assert words in str(caught.value)


def test_a_device_that_lacks_a_number_says_which(tmp_path: Path):
    own = tmp_path / "own.toml"
    own.write_text("[devices.mine]\nname = 'Mine'\nmemory_gb = 1")
    with pytest.raises(KgptError) as caught:
        read_assumptions("mine", own)
    assert "devices.mine" in caught.value.message and "watts" in caught.value.message


def test_a_file_that_is_missing(tmp_path: Path):
    with pytest.raises(KgptError) as caught:
        read_assumptions("h100", tmp_path / "none.toml")
    assert "none.toml" in caught.value.message
