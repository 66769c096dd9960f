"""Sampling options and beam search beside transformers' own, on the same scores. Run by `make test-peers`."""

from __future__ import annotations

import numpy as np
import pytest
from test_transformers import model, peer  # noqa: F401 (fixtures)

from kgpt.inference.sampling import distribution
from kgpt.protocol import GenerateOptions

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
processors = transformers.generation.logits_process

pytestmark = [pytest.mark.peer, pytest.mark.long]

SIZE = 300
SEEN = [3, 17, 40, 3, 17, 5, 5, 3, 17]
CASES = {
    "temperature": (
        {"temperature": 0.6},
        lambda: [processors.TemperatureLogitsWarper(0.6)],
    ),
    "top_k": ({"top_k": 7}, lambda: [processors.TopKLogitsWarper(7)]),
    "top_p": ({"top_p": 0.8}, lambda: [processors.TopPLogitsWarper(0.8)]),
    "min_p": ({"min_p": 0.1}, lambda: [processors.MinPLogitsWarper(0.1)]),
    "typical_p": ({"typical_p": 0.7}, lambda: [processors.TypicalLogitsWarper(0.7)]),
    "repetition_penalty": (
        {"repetition_penalty": 1.4},
        lambda: [processors.RepetitionPenaltyLogitsProcessor(1.4)],
    ),
    "no_repeat_ngram_size": (
        {"no_repeat_ngram_size": 3},
        lambda: [processors.NoRepeatNGramLogitsProcessor(3)],
    ),
    "logit_bias": (
        {"logit_bias": {4: 2.5, 99: -3.0}},
        lambda: [processors.SequenceBiasLogitsProcessor([[[4], 2.5], [[99], -3.0]])],
    ),
    "forbidden": (
        {"forbidden": (1, 2, 250)},
        lambda: [processors.SuppressTokensLogitsProcessor([1, 2, 250])],
    ),
    "together": (
        {
            "logit_bias": {4: 2.5}, "repetition_penalty": 1.3, "no_repeat_ngram_size": 2,
            "forbidden": (7,), "temperature": 0.8, "top_k": 100, "top_p": 0.95, "min_p": 0.01,
            "typical_p": 0.9,
        },
        lambda: [
            processors.SequenceBiasLogitsProcessor([[[4], 2.5]]),
            processors.RepetitionPenaltyLogitsProcessor(1.3),
            processors.NoRepeatNGramLogitsProcessor(2),
            processors.SuppressTokensLogitsProcessor([7]),
            processors.TemperatureLogitsWarper(0.8),
            processors.TopKLogitsWarper(100),
            processors.TopPLogitsWarper(0.95),
            processors.MinPLogitsWarper(0.01),
            processors.TypicalLogitsWarper(0.9),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_each_option_gives_transformers_distribution(name):
    options, theirs = CASES[name]
    for seed in range(20):
        logits = np.random.default_rng(seed).normal(0, 3, SIZE)
        scores = torch.tensor(logits)[None]
        for processor in theirs():
            scores = processor(torch.tensor([SEEN]), scores)
        ours = distribution(logits, GenerateOptions(**{"temperature": 1.0, **options}), SEEN)
        np.testing.assert_allclose(ours, torch.softmax(scores[0], -1).numpy(), atol=1e-9)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("beams", [2, 5])
def test_beam_search_finds_what_transformers_finds(model, peer, beams, length_penalty):  # noqa: F811
    from kgpt.inference.beams import BeamSearch
    from kgpt.inference.decoder import KerasDecoder

    def ending(ids, options):
        return "end_of_text" if ids[-1] == 11 else None

    decoder, options = KerasDecoder(model), GenerateOptions(max_tokens=12, temperature=0)
    for prompt in ([5, 17, 100], [1], [60, 61, 62, 63, 199]):
        found = BeamSearch(decoder.fresh(), options, beams, length_penalty, ending).run(prompt)
        theirs = peer.generate(
            torch.tensor([prompt]), max_new_tokens=12, do_sample=False, num_beams=beams,
            num_return_sequences=beams, length_penalty=length_penalty, eos_token_id=11,
            pad_token_id=11,
        )  # fmt: skip
        for ours, ids in zip(found, theirs[:, len(prompt) :].tolist(), strict=True):
            assert ours.ids == ids[: len(ours.ids)] and set(ids[len(ours.ids) :]) <= {11}
