"""The LiteRT files of a checkpoint: made once, kept, and made anew when they are not what they should be."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from tiny import TEXT, memorise, write_run

from kgpt.errors import KgptFailure
from kgpt.inference.generation import load_generator
from kgpt.inference.litert_files import current_file, files_of, load_litert_decoder
from kgpt.protocol import GenerateOptions
from kgpt.runs import RunFolder
from kgpt.text.tokenizer import Tokenizer

GREEDY = GenerateOptions(temperature=0, max_tokens=120)


@pytest.fixture
def run(tiny_run, tmp_path, monkeypatch):
    """A copy of a run that has its file already, and a cache folder of its own."""
    load_litert_decoder(tiny_run, tiny_run.checkpoint())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    others = shutil.ignore_patterns("*int8*")  # which another test may have left
    return RunFolder(shutil.copytree(tiny_run.path, tmp_path / "tiny", ignore=others))


def stages_of(run):
    """What is reported while a decoder is loaded that then writes as it should."""
    stages: list[str] = []
    generator = load_generator(run, decoder="litert", report=stages.append)
    assert generator.generate("", GREEDY).text == TEXT
    return stages


def test_a_file_is_made_once_and_moves_with_its_run(run):
    assert stages_of(run) == []
    assert current_file(run.checkpoint(), "int8") is None


def test_a_cut_file_is_made_anew(run):
    file = current_file(run.checkpoint(), "float32")
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    assert any("converting" in stage for stage in stages_of(run))
    assert file.stat().st_size == len(content)
    assert stages_of(run) == []


def test_a_flipped_bit_is_noticed(run):
    file = current_file(run.checkpoint(), "float32")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert current_file(run.checkpoint(), "float32") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_an_unreadable_note_about_a_file_is_as_none(run, text):
    file = current_file(run.checkpoint(), "float32")
    file.with_suffix(".json").write_text(text)
    assert current_file(run.checkpoint(), "float32") is None


def test_other_weights_have_another_file(run, tiny_model):
    """Also where XNNPACK has kept what it made of the weights before."""
    assert current_file(run.checkpoint(), "float32").with_suffix(".packed").exists()
    file = run.checkpoint().path / "weights.safetensors"
    state_file = run.checkpoint().path / "state.json"
    other = "Outro texto, outros pesos."
    made = write_run(
        run.path.with_name("other"),
        memorise(tiny_model.config, Tokenizer.bytes(), other),
        Tokenizer.bytes(),
    )
    shutil.copyfile(made.checkpoint().path / "weights.safetensors", file)
    shutil.copyfile(made.checkpoint().path / "state.json", state_file)
    generator = load_generator(run, decoder="litert")
    assert generator.generate("", GREEDY).text == other


def test_a_folder_that_cannot_be_written_is_left_alone(run, tmp_path):
    folder = run.checkpoint().path / "litert"
    shutil.rmtree(folder)
    folder.write_text("no folder")
    assert any("converting" in stage for stage in stages_of(run))
    assert folder.read_text() == "no folder"
    assert current_file(run.checkpoint(), "float32").is_relative_to(tmp_path / "cache")
    assert stages_of(run) == []


def test_no_place_at_all(run, tmp_path):
    shutil.rmtree(run.checkpoint().path / "litert")
    for file in files_of(run.checkpoint(), "float32"):
        parent = file.parent
        while not parent.parent.exists():
            parent = parent.parent
        parent.write_text("in the way")
    with pytest.raises(KgptFailure, match="--decoder keras"):
        load_litert_decoder(run, run.checkpoint())


def test_int8_weights_are_smaller_and_nearly_as_good(run):
    decoders = {
        variant: load_litert_decoder(run, run.checkpoint(), variant)
        for variant in ("float32", "int8")
    }
    sizes = {
        variant: current_file(run.checkpoint(), variant).stat().st_size for variant in decoders
    }
    assert sizes["int8"] < 0.7 * sizes["float32"]
    prompts = [list(TEXT.encode()[:40])]
    exact, rounded = (decoders[variant].prefill(prompts) for variant in ("float32", "int8"))
    assert 0 < np.abs(exact - rounded).max() < 0.1 * np.abs(exact).max()


def test_the_note_says_what_the_file_was_made_of(run):
    file = current_file(run.checkpoint(), "float32")
    about = json.loads(file.with_suffix(".json").read_text())
    state = json.loads((run.checkpoint().path / "state.json").read_text())
    assert about["weights_sha256"] == state["sha256"]["weights.safetensors"]
    assert about["size"] == file.stat().st_size
