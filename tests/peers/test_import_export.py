"""Imports and exports beside transformers (PyTorch): logits on real sentences, greedy text, token ids."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent.parent / "kgpt"))

pytestmark = [pytest.mark.peer, pytest.mark.long]

CONTEXT = 128
NASTY = [
    "Olá,  mundo!\n\n\tÉ o fim… 👩‍🚀 don't 12345", "", " ", "\n\n\n", "a\r\n\x00b", "<|endoftext|>",
    "DON'T I'Ll ६ Ĵ \u00a0 end.\n\nnext", "  leading and trailing  ", "日本語 العربية 🇧🇷",
]  # fmt: skip


@pytest.fixture(scope="module")
def texts() -> list[str]:
    from kgpt.text import encyclopedia

    return [text for text, _ in zip(encyclopedia.documents(), range(200), strict=False)]


@pytest.fixture(scope="module")
def words(texts: list[str]):
    from kgpt.text.tokenizer import Tokenizer

    return Tokenizer.train(texts, 1000)


@pytest.fixture(scope="module")
def peer(words):
    """transformers' GPT-2 with random weights, biases and norms too."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=words.vocabulary_size, n_positions=CONTEXT, n_layer=3, n_head=4, n_embd=64,
        bos_token_id=words.end_of_text, eos_token_id=words.end_of_text,
    )  # fmt: skip
    model = transformers.GPT2LMHeadModel(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.15)
        model.transformer.wpe.weight.mul_(10)  # so that greedy text does not repeat itself
    return model.eval()


def save_words(words, folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(words.vocabulary))
    lines = "\n".join(map(" ".join, words.merges))
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}\n")


def save_openai(model, words, folder: Path) -> None:
    """OpenAI's files of a GPT-2 of transformers', in the names of OpenAI's own code."""
    import tensorflow as tf

    c = model.config
    sizes = {"n_vocab": c.vocab_size, "n_ctx": c.n_positions, "n_embd": c.n_embd}
    sizes |= {"n_head": c.n_head, "n_layer": c.n_layer}
    (folder / "hparams.json").write_text(json.dumps(sizes))
    save_words(words, folder)
    (folder / "vocab.json").rename(folder / "encoder.json")
    (folder / "merges.txt").rename(folder / "vocab.bpe")
    values = {}
    for name, weight in model.transformer.named_parameters():
        *path, kind = name.split(".")
        value = weight.detach().numpy()
        if path[0] in ("wte", "wpe"):
            values[f"model/{path[0]}"] = value
            continue
        place = "/".join([f"h{path[1]}", *path[2:]] if path[0] == "h" else path)
        letter = "b" if kind == "bias" else "g" if path[-1].startswith("ln_") else "w"
        values[f"model/{place}/{letter}"] = value[None] if letter == "w" else value
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name, initializer=value) for name, value in values.items()
        ]
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables).save(session, str(folder / "model.ckpt"))


def write_source(kind: str, model, words, folder: Path) -> None:
    if kind == "openai":
        folder.mkdir()
        save_openai(model, words, folder)
        return
    if kind == "sharded":
        model.save_pretrained(folder, max_shard_size="150KB")
        assert len(list(folder.glob("*.safetensors"))) > 2
    else:
        model.save_pretrained(folder)
    if kind in ("zip", "legacy", "checkpoint"):
        (folder / "model.safetensors").unlink()
        saved = {name: value.clone() for name, value in model.state_dict().items()}
        held = {"state_dict": saved} if kind == "checkpoint" else saved
        path = folder / "pytorch_model.bin"
        torch.save(held, path, _use_new_zipfile_serialization=kind != "legacy")
    save_words(words, folder)


def opened(run):
    from kgpt.model.weights import load_checkpoint_model

    return load_checkpoint_model(run, run.checkpoint())


def their_logits(model, ids_BT) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor(np.asarray(ids_BT, "int64"))).logits.numpy()


def rows(words, texts, length: int = CONTEXT) -> np.ndarray:
    ids = words.encode("\n".join(texts))[: 4 * length]
    return np.array(ids, "int32").reshape(4, length)


@pytest.mark.parametrize(
    "kind", ["safetensors", "sharded", "zip", "legacy", "checkpoint", "openai"]
)
def test_an_import_computes_what_transformers_computes(tmp_path, peer, words, texts, kind):
    from kgpt.interop.imports import import_model

    write_source(kind, peer, words, tmp_path / "source")
    run = import_model(str(tmp_path / "source"), "run", saved_models=tmp_path)
    model, ids = opened(run), rows(words, texts)
    expected = their_logits(peer, ids)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(np.array(model(ids)), expected, atol=1e-4)
    prompt = torch.tensor(ids[:1, :20].astype("int64"))
    written = peer.generate(
        prompt, max_new_tokens=100, do_sample=False, eos_token_id=None, pad_token_id=0
    )  # fmt: skip
    assert written.shape == (1, 120) and len(set(written[0, 20:].tolist())) > 20
    ours = np.array(model(np.array(written[:, :-1], "int32")))[0].argmax(-1)
    assert ours[19:].tolist() == written[0, 20:].tolist()


def test_a_tensor_that_torch_saved_out_of_order(tmp_path):
    from kgpt.interop.torch_files import read_torch_file

    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    saved = {
        "view": base[1:3, 2:5], "transposed": base.T, "half": base.half(), "brain": base.bfloat16(),
        "parameter": torch.nn.Parameter(base * 2), "scalar": torch.tensor(3.5),
    }  # fmt: skip
    for is_zip in (True, False):
        torch.save(saved, tmp_path / "m.bin", _use_new_zipfile_serialization=is_zip)
        found = read_torch_file(tmp_path / "m.bin")
        for name, value in saved.items():
            np.testing.assert_array_equal(found[name].read(), value.detach().float().numpy())


MODERN = {"num_kv_heads": 2, "rotary_base": 500.0, "tied_head": False, "norm_epsilon": 1e-4}


@pytest.mark.parametrize("changes", [None, {}, MODERN])
def test_transformers_opens_an_export(tmp_path, words, texts, changes):
    """GPT-2 (None) and modern models: logits, greedy text by `generate`, ids by AutoTokenizer."""
    from tiny import GPT2_SHAPE, MODERN_SHAPE, write_run

    from kgpt.commands import main
    from kgpt.model.gpt import build_gpt

    shape = GPT2_SHAPE if changes is None else dataclasses.replace(MODERN_SHAPE, num_kv_heads=0)
    sizes = {"vocabulary_size": words.vocabulary_size, "context_length": CONTEXT}
    model = build_gpt(dataclasses.replace(shape, **sizes, **(changes or {})))
    random = np.random.default_rng(0)
    for variable in model.weights:
        if variable.dtype == "float32":
            variable.assign(variable + random.normal(0, 0.15, variable.shape))
    write_run(tmp_path / "run", model, words)
    folder = str(tmp_path / "out")
    command = ["export", str(tmp_path / "run"), "--format", "huggingface", "--output", folder]
    assert main(command) == 0
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    name = "GPT2LMHeadModel" if changes is None else "Qwen3ForCausalLM"
    assert type(theirs).__name__ == name
    ids = rows(words, texts)
    np.testing.assert_allclose(np.array(model(ids)), their_logits(theirs, ids), atol=1e-4)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for text in [*texts[:50], *NASTY]:
        expected = words.encode(text)
        assert tokenizer(text, split_special_tokens=True)["input_ids"] == expected
        assert tokenizer.decode(expected) == text
    assert tokenizer.eos_token_id == words.end_of_text
    assert tokenizer.model_max_length == CONTEXT
    inputs = tokenizer(texts[0][:30], return_tensors="pt")
    written = theirs.generate(**inputs, max_new_tokens=20, do_sample=False)
    logits = np.array(model(np.array(written[:, :-1], "int32")))[0]
    prompt = inputs["input_ids"].shape[1]
    assert written[0, prompt:].tolist() == logits[prompt - 1 :].argmax(-1).tolist()


def test_gpt2s_own_ids(tmp_path):
    """The tokenizer of an import that has GPT-2's words and merges, on texts nobody expects, beside transformers."""
    from kgpt.text.tokenizer import Tokenizer

    ours = Tokenizer.train([*NASTY * 3, "don't we'll they've 2024 100 " * 5], 500)
    save_words(ours, tmp_path)
    theirs = transformers.GPT2Tokenizer.from_pretrained(tmp_path)
    for text in NASTY:
        assert theirs(text, split_special_tokens=True)["input_ids"] == ours.encode(text)


@pytest.mark.parametrize("name", ["chat", "alpaca", "alpaca-pt"])
def test_conversations_are_written_down_as_we_do(name, words, tmp_path):
    from kgpt.interop.huggingface_export import save_tokenizer
    from kgpt.model.vocabulary import with_tokens
    from kgpt.text.conversations import turns_of
    from kgpt.text.templates import TEMPLATES, conversation_ids, prompt_ids

    template = TEMPLATES[name]
    tokenizer = with_tokens(words, template.special_tokens)
    save_tokenizer(tokenizer, tmp_path, CONTEXT, template)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    messages = [
        {"role": "system", "content": 'Seja "breve" {e} {{direto}}.'},
        {"role": "user", "content": "Qual é a\ncapital?"},
        {"role": "assistant", "content": "Água fria."},
        {"role": "user", "content": "E a outra?"},
    ]
    for count in (2, 3, 4):
        part = messages[:count]
        turns = turns_of(part)
        ours = conversation_ids(template, turns, tokenizer)[0]
        assert list(theirs.apply_chat_template(part, tokenize=True, return_dict=False)) == ours
    asked = theirs.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert list(asked) == prompt_ids(template, turns_of(messages), tokenizer)
