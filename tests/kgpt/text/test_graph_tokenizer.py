from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hard_text import END, HARD, TRAINING_TEXT, hard_text
from hypothesis import given, settings

from kgpt.errors import KgptError
from kgpt.text.tokenizer import Tokenizer

tf = pytest.importorskip("tensorflow")
import keras  # noqa: E402

from kgpt.text.graph_tokenizer import GraphBPE, GraphTokenizer  # noqa: E402


@pytest.fixture(scope="module")
def graphs(
    trained: Tokenizer, byte_tokenizer: Tokenizer, doubled: Tokenizer
) -> list[tuple[Tokenizer, GraphBPE, Any]]:
    """Each tokenizer with its graph twin and that twin compiled."""
    signature = [tf.TensorSpec([None], tf.string)]
    found = []
    for tokenizer in (trained, byte_tokenizer, doubled):
        graph = GraphBPE(tokenizer)
        found.append((tokenizer, graph, tf.function(graph.tokenize, input_signature=signature)))
    return found


@pytest.fixture(scope="module")
def layer(trained: Tokenizer) -> GraphTokenizer:
    return GraphTokenizer(trained)


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(hard_text, max_size=40))
def test_compiled_ids_and_bytes(graphs: list[Any], texts: list[str]) -> None:
    encoded = tf.constant([text.encode() for text in texts], tf.string)
    for tokenizer, graph, compiled in graphs:
        ids = compiled(encoded)
        assert ids.to_list() == tokenizer.encode_batch(texts)
        assert graph.detokenize(ids).numpy().tolist() == [text.encode() for text in texts]


@settings(max_examples=5, deadline=None)
@given(texts=st.lists(hard_text, max_size=10))
def test_eager_ids(graphs: list[Any], texts: list[str]) -> None:
    for tokenizer, graph, _ in graphs:
        assert graph.tokenize(tf.constant(texts, tf.string)).to_list() == tokenizer.encode_batch(
            texts
        )


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text("ab '", max_size=12), max_size=40))
def test_runs_of_one_letter(graphs: list[Any], texts: list[str]) -> None:
    for tokenizer, _, compiled in graphs:
        assert compiled(tf.constant(texts, tf.string)).to_list() == tokenizer.encode_batch(texts)


def test_every_character_is_split_as_by_the_fast_path(graphs: list[Any]) -> None:
    tokenizer, _, compiled = graphs[0]
    for start in range(0, 0x110000, 0x4000):
        characters = [chr(c) for c in range(start, start + 0x4000) if not 0xD800 <= c < 0xE000]
        text = "".join(
            f"a{c}a1{c}1!{c}! {c}{c} {c}\n" for c in characters[:: 1 if start < 0x4000 else 3]
        )
        assert compiled(tf.constant([text])).to_list() == [tokenizer.encode(text)]


def test_bytes_that_are_no_utf8_survive(graphs: list[Any]) -> None:
    for _, graph, compiled in graphs:
        content = b"a\xff\xfeb \xc3"
        assert graph.detokenize(compiled(tf.constant([content]))).numpy()[0] == content


def test_dense_ids_with_lengths(graphs: list[Any]) -> None:
    tokenizer, graph, _ = graphs[0]
    ids = [[*tokenizer.encode("casa"), 0, 0], [0, 0, 0]]
    width = max(map(len, ids))
    dense = tf.constant([row + [0] * (width - len(row)) for row in ids])
    lengths = tf.constant([len(tokenizer.encode("casa")), 0])
    assert graph.detokenize(dense, lengths).numpy().tolist() == [b"casa", b""]


@pytest.mark.parametrize("name", ["trained", "byte_tokenizer", "doubled"])
def test_a_saved_model_needs_tensorflow_alone(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    module = tf.Module()
    module.bpe = GraphBPE(tokenizer)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(text: Any) -> dict[str, Any]:
        ids = module.bpe.tokenize(text)
        return {"ids": ids.to_tensor(-1), "text": module.bpe.detokenize(ids)}

    tf.saved_model.save(module, str(tmp_path), signatures=serve)
    text = "Não há ६ Ĵ, it's\n\n\n  aaaaa " + END
    script = f"""
import sys
sys.modules["kgpt"] = sys.modules["tensorflow_text"] = sys.modules["keras_nlp"] = None
import tensorflow as tf
serve = tf.compat.v1.Session(graph=tf.Graph())
with serve.graph.as_default():
    loaded = tf.compat.v1.saved_model.load(serve, ["serve"], {str(tmp_path)!r})
signature = loaded.signature_def["serving_default"]
feed = {{signature.inputs["text"].name: [{text!r}]}}
ids, text = serve.run([signature.outputs["ids"].name, signature.outputs["text"].name], feed)
print(ids[0].tolist())
print(text[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-2:] == [str(tokenizer.encode(text)), str(text.encode())]


# === The Keras layer ===


def test_the_layer_eagerly_and_in_a_graph(layer: GraphTokenizer, trained: Tokenizer) -> None:
    assert isinstance(layer(tf.constant(HARD)), tf.RaggedTensor)
    assert layer(tf.constant(HARD)).dtype == tf.int32
    assert layer(tf.constant(HARD)).to_list() == trained.encode_batch(HARD)
    assert tf.function(layer)(tf.constant(HARD)).to_list() == trained.encode_batch(HARD)
    batches = tf.data.Dataset.from_tensor_slices(HARD).batch(32).map(layer)
    assert [ids for batch in batches for ids in batch.to_list()] == trained.encode_batch(HARD)


def test_the_layer_takes_lists_and_single_strings(
    layer: GraphTokenizer, trained: Tokenizer
) -> None:
    assert layer(["casa", ""]).to_list() == [trained.encode("casa"), []]
    assert layer("Não há").numpy().tolist() == trained.encode("Não há")
    assert layer.detokenize(layer(["Não há", ""])).numpy().tolist() == ["Não há".encode(), b""]
    assert layer.detokenize(trained.encode("casa")).numpy() == b"casa"
    with pytest.raises(ValueError, match="vector"):
        layer(tf.constant([["a"]]))


def test_the_layer_answers_for_its_vocabulary(layer: GraphTokenizer, trained: Tokenizer) -> None:
    assert layer.vocabulary_size() == trained.vocabulary_size
    assert layer.token_to_id(END) == trained.end_of_text
    assert layer.id_to_token(trained.end_of_text) == END


def test_sequence_length_cuts_and_fills(trained: Tokenizer) -> None:
    layer = GraphTokenizer(trained, sequence_length=3)
    ids = trained.encode(TRAINING_TEXT)
    filled = layer(tf.constant([TRAINING_TEXT, ""])).numpy().tolist()
    assert filled == [ids[:3], [trained.end_of_text] * 3]


@pytest.mark.parametrize("name", ["trained", "byte_tokenizer"])
def test_the_layer_is_saved_whole(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    tokenizer: Tokenizer = request.getfixturevalue(name)
    layer = GraphTokenizer(tokenizer, sequence_length=5)
    again = GraphTokenizer.from_config(layer.get_config())
    texts = tf.constant(["Não há\n\ncasa", END])
    assert again(texts).numpy().tolist() == layer(texts).numpy().tolist()
    inputs = keras.Input((), dtype="string")
    embedding = keras.layers.Embedding(tokenizer.vocabulary_size, 2)
    model = keras.Model(inputs, embedding(layer(inputs)))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded(texts).numpy().tolist() == model(texts).numpy().tolist()


def test_the_layer_without_a_tokenizer_is_a_clear_error() -> None:
    with pytest.raises(KgptError, match="Tokenizer"):
        GraphTokenizer()
