from __future__ import annotations

import json

import hypothesis.strategies as st
import pytest
from hard_text import TRAINING_TEXT, hard_text
from hypothesis import given, settings
from tokenizers import Tokenizer as HuggingFace
from tokenizers import models, pre_tokenizers, trainers

from kgpt.text.pretokenization import PRE_TOKENIZATIONS, pre_tokenization
from kgpt.text.tokenizer_training import learn


@pytest.mark.parametrize("name", PRE_TOKENIZATIONS)
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(hard_text, max_size=8))
def test_the_merges_are_those_of_hugging_faces_trainer(name: str, texts: list[str]) -> None:
    """It matches the pre-tokenization itself, on the text as it is."""
    rule = pre_tokenization(name)
    texts = [TRAINING_TEXT, *texts, *texts]
    peer = HuggingFace(models.BPE())
    peer.pre_tokenizer = rule.backend()
    trainer = trainers.BpeTrainer(
        vocab_size=399,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    peer.train_from_iterator(texts, trainer)
    expected = json.loads(peer.to_str())["model"]
    vocabulary, merges = learn(texts, 400, rule, ["<|endoftext|>"])
    assert vocabulary.pop("<|endoftext|>") == len(expected["vocab"])
    assert vocabulary == expected["vocab"]
    assert [list(merge) for merge in merges] == expected["merges"]
