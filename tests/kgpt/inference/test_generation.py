from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from tiny import GPT2_SHAPE, MODERN_SHAPE, TEXT, write_run

from kgpt.errors import KgptError, KgptFailure
from kgpt.inference.compiled import compiled
from kgpt.inference.decoder import KerasDecoder
from kgpt.inference.generation import Generator, Recorder, load_generator, seeds
from kgpt.model.gpt import build_gpt
from kgpt.protocol import GenerateOptions
from kgpt.text.tokenizer import Tokenizer

TOKENIZER = Tokenizer.bytes()
GREEDY = GenerateOptions(temperature=0, max_tokens=120)


@pytest.fixture(scope="module")
def generator(tiny_model) -> Generator:
    return Generator(KerasDecoder(tiny_model), TOKENIZER)


@pytest.fixture(scope="module")
def loose() -> Generator:
    """A model that knows nothing, with scores spread enough for options to matter; its context is 40."""
    model = build_gpt(MODERN_SHAPE, seed=5)
    model.head.kernel.assign(model.head.kernel * 20)
    return Generator(KerasDecoder(model), TOKENIZER)


def with_options(**values) -> GenerateOptions:
    return GenerateOptions(**{"max_tokens": 12, "temperature": 1.0, "seed": 3, **values})


def test_an_empty_prompt_begins_a_text_and_the_end_of_text_ends_it(generator):
    result = generator.generate("", GREEDY)
    assert (result.text, result.reason) == (TEXT, "end_of_text")
    assert result.ids == [*TOKENIZER.encode(TEXT), TOKENIZER.end_of_text]
    assert result.tokens == len(result.ids)


def test_pieces_hold_whole_characters_and_join_to_the_text(generator):
    pieces = list(generator.stream("", GREEDY))
    assert "".join(piece.text for piece in pieces) == TEXT
    assert TOKENIZER.decode([piece.token for piece in pieces[:-1]]) == TEXT
    assert all("\ufffd" not in piece.text for piece in pieces)
    assert any(len(piece.bytes) == 1 and piece.text == "" for piece in pieces)
    assert [piece.reason for piece in pieces] == [None] * (len(pieces) - 1) + ["end_of_text"]


def test_a_character_cut_by_the_length_is_not_shown(generator):
    emoji_at = len(TEXT.split("🍎")[0].encode())
    result = generator.generate("", dataclasses.replace(GREEDY, max_tokens=emoji_at + 2))
    assert (result.text, result.reason) == (TEXT.split("🍎")[0], "length")
    assert result.tokens == emoji_at + 2


@pytest.mark.parametrize("stop", [("maçã",), ("x", "çã"), ("çã é", "maçã"), ("Olá",), ("🍎 e",)])
def test_stop_texts_that_span_tokens(generator, stop):
    result = generator.generate("", dataclasses.replace(GREEDY, stop=stop))
    found = [text for text in stop if text in TEXT]
    first = min(found, key=lambda text: TEXT.index(text) + len(text))
    assert (result.text, result.reason) == (TEXT[: TEXT.index(first)], "stop")


def test_a_stop_text_that_begins_and_does_not_come_is_shown(generator):
    options = dataclasses.replace(GREEDY, stop=("Fim.!", "maçãs"))
    assert generator.generate("", options).text == TEXT


def test_what_is_held_back_is_shown_when_the_length_ends_the_text(generator):
    result = generator.generate("", dataclasses.replace(GREEDY, max_tokens=4, stop=("Olá, mundo",)))
    assert (result.text, result.reason) == ("Olá", "length")


def test_the_prompt_is_continued(generator):
    assert generator.generate("Olá, coração! A ma", GREEDY).text == TEXT.removeprefix(
        "Olá, coração! A ma"
    )


def test_probabilities_are_the_models_own_and_alternatives_are_sorted(generator):
    options = dataclasses.replace(GREEDY, max_tokens=3)
    pieces = list(generator.stream("", options, alternatives=4))
    logits = np.asarray(generator.decoder._model(np.array([[256]], "int32"))[0, -1], np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum()
    assert pieces[0].probability == pytest.approx(probabilities[pieces[0].token], rel=1e-3)
    order = np.argsort(-probabilities)[:4]
    assert [other.token for other in pieces[0].alternatives] == order.tolist()
    assert [other.probability for other in pieces[0].alternatives] == pytest.approx(
        probabilities[order], rel=1e-3
    )
    assert pieces[0].alternatives[0].bytes == b"O"


def test_seeds_reproduce_and_differ(loose):
    first = loose.generate("abc", with_options())
    assert loose.generate("abc", with_options()).ids == first.ids
    assert loose.generate("abc", with_options(seed=4)).ids != first.ids
    assert seeds(7, 3) == [7, 8, 9]
    assert len(set(seeds(None, 3))) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.0},
        {"temperature": 3.0},
        {"top_k": 2},
        {"top_p": 0.2},
        {"min_p": 0.5},
        {"repetition_penalty": 20.0},
        {"max_tokens": 5},
    ],
    ids=str,
)
def test_every_option_reaches_the_text(loose, change):
    plain = loose.generate("abc", with_options(max_tokens=30))
    changed = loose.generate("abc", with_options(**{"max_tokens": 30, **change}))
    assert changed.ids != plain.ids


def test_the_repetition_penalty_counts_prompt_and_text(loose):
    options = with_options(temperature=0.0, repetition_penalty=1e6, max_tokens=60)
    result = loose.generate("abcdef", options)
    assert len(set(result.ids)) == len(result.ids)
    assert not set(result.ids) & set(b"abcdef")


def greedy_with_the_rule(model, ids: list[int], count: int) -> list[int]:
    """The rule for a full context, without a cache: of `context_length` tokens the last half stays."""
    window, taken = list(ids), []
    uncached = compiled(model.call, model.variables)
    for _ in range(count):
        # zeros after the window have no influence on it, and give every call one shape
        padded = [*window, *[0] * (MODERN_SHAPE.context_length - len(window))]
        scores = np.asarray(uncached(np.array([padded], "int32")))[0, len(window) - 1]
        token = int(scores.argmax())
        taken.append(token)
        window.append(token)
        if len(window) > MODERN_SHAPE.context_length:
            window = window[-(MODERN_SHAPE.context_length // 2) :]
    return taken


def test_a_text_longer_than_the_context_follows_the_rule(loose):
    prompt = "um prompt de vinte e nove letras"
    expected = greedy_with_the_rule(loose.decoder._model, TOKENIZER.encode(prompt), 34)
    result = loose.generate(prompt, GenerateOptions(temperature=0, max_tokens=34))
    assert result.ids == expected


def test_a_prompt_may_fill_the_context_but_not_exceed_it(loose):
    assert loose.generate("x" * 40, with_options(max_tokens=2)).tokens == 2
    with pytest.raises(KgptError, match=r"(?s)40 tokens.*41 tokens"):
        loose.generate("x" * 41, with_options())


def test_closing_a_stream_cancels_it_and_streams_run_in_turns(loose):
    alone = [p.token for p in loose.stream("abc", with_options())]
    other = loose.stream("xyz", with_options(seed=9))
    turns = [
        (a.token, b.token) for a, b in zip(loose.stream("abc", with_options()), other, strict=True)
    ]
    assert [a for a, _ in turns] == alone
    recorder, stream = Recorder(), loose.stream("abc", with_options())
    for piece in itertools.islice(stream, 3):
        recorder.add(piece)
    stream.close()
    assert list(stream) == []
    result = recorder.result()
    assert (result.ids, result.reason, result.tokens) == (alone[:3], "cancelled", 3)


def test_times_are_plausible(loose):
    result = loose.generate("abc", with_options())
    assert 0 < result.seconds_to_first_token <= result.seconds < 30
    after_first = result.seconds - result.seconds_to_first_token
    assert result.tokens_per_second == pytest.approx((result.tokens - 1) / after_first)


def test_a_batch_gives_what_its_prompts_give_alone(loose, generator):
    prompts = ["Olá", "", "Olá, coração! A maçã é verm", "abc", "O", "São João", "x"]
    options = GenerateOptions(temperature=0, max_tokens=20)
    alone = [loose.generate(prompt, options).text for prompt in prompts]
    assert loose.complete_batch(prompts, max_tokens=20, rows_at_once=4) == alone
    stopped = generator.complete_batch(["Olá", ""], max_tokens=20, stop=["ora", "!"])
    assert stopped == [", c", "Olá, c"]
    assert generator.complete_batch([], max_tokens=20) == []


def test_a_batch_follows_the_rule_row_by_row(loose):
    prompts = ["x" * 39, "abc", "y" * 25]
    options = GenerateOptions(temperature=0, max_tokens=30)
    alone = [loose.generate(prompt, options).text for prompt in prompts]
    assert loose.complete_batch(prompts, max_tokens=30) == alone


def test_a_vocabulary_that_does_not_match_is_named_with_both_numbers():
    decoder = KerasDecoder(build_gpt(dataclasses.replace(GPT2_SHAPE, vocabulary_size=300)))
    with pytest.raises(KgptError, match=r"(?s)300 ids.*257"):
        Generator(decoder, TOKENIZER)


def test_a_run_is_loaded_with_its_own_tokenizer(tiny_run):
    stages: list[str] = []
    loaded = load_generator(tiny_run, decoder="keras", report=stages.append)
    assert loaded.generate("", GREEDY).text == TEXT
    assert stages


def test_damaged_weights_are_named(tiny_model, tmp_path):
    run = write_run(tmp_path / "cut", tiny_model, TOKENIZER)
    weights = run.checkpoint().path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(KgptFailure, match="weights.safetensors"):
        load_generator(run)


def test_a_model_that_diverged_is_a_failure(loose):
    kernel = loose.decoder._model.head.kernel
    before = np.array(kernel)
    kernel.assign(before * np.nan)
    try:
        with pytest.raises(KgptFailure, match="NaN"):
            loose.generate("abc", with_options())
        with pytest.raises(KgptFailure, match="NaN"):
            loose.complete_batch(["abc"], max_tokens=2)
    finally:
        kernel.assign(before)
