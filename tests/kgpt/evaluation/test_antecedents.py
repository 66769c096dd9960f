"""Sentences with a known antecedent, and shares of right choices."""

from __future__ import annotations

import math
import re
from collections import Counter

import pytest

from kgpt.evaluation.antecedents import CHANCE, LANGUAGES, Agreement, agreement, sentences

GENDERS = {" ele": 0, " ela": 1, " he": 0, " she": 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_kind_comes_as_often_and_no_sentence_twice(language):
    asked = sentences(language, 400)
    assert len({sentence.text for sentence in asked}) == 400
    kinds = Counter((GENDERS[sentence.pronoun], sentence.antecedent) for sentence in asked)
    assert set(kinds.values()) == {100} and len(kinds) == 4
    assert asked == sentences(language, 400) != sentences(language, 400, seed=1)
    assert sentences(language, 0) == []
    with pytest.raises(ValueError, match="count"):
        sentences(language, 10**6)


def test_portuguese_nouns_agree_with_their_articles_and_the_pronoun_with_one():
    for sentence in sentences("pt", 400):
        found = re.fullmatch(r"(O|A) (\S+) \S+ (o|a) ([^\s,]+),? \S+ (ele|ela)", sentence.text)
        assert found, sentence.text
        first, *_ = articles = [found[1].lower(), found[3]]
        assert (found[2], found[4]) == sentence.nouns and sorted(articles) == ["a", "o"]
        assert sentence.antecedent == (0 if (first == "a") == (found[5] == "ela") else 1)


def test_english_pronouns_mean_one_of_the_two():
    men = set("man boy king father son brother husband uncle prince lord gentleman monk".split())
    for sentence in sentences("en", 400):
        noun, other = (
            sentence.nouns[place] for place in (sentence.antecedent, 1 - sentence.antecedent)
        )
        assert (noun in men) == (sentence.pronoun == " he") and (other in men) != (noun in men)
        assert sentence.other_pronoun == {" he": " she", " she": " he"}[sentence.pronoun]


def test_who_takes_the_nearest_or_the_first_is_right_by_chance():
    asked = sentences("pt", 200)
    for score in ((0.0, 1.0), (1.0, 0.0)):
        assert agreement(asked, lambda sentence, score=score: score).share == CHANCE
    assert agreement(asked, lambda sentence: (0.5, 0.5)).share == 0, "not to choose is not right"
    knows = agreement(
        asked, lambda sentence: (1.0 - sentence.antecedent, float(sentence.antecedent))
    )
    assert knows == Agreement(200, 200)


def test_the_interval_is_wilsons():
    # The textbook's example: 1 of 10, 95 %.
    low, high = Agreement(1, 10).interval
    assert (round(low, 4), round(high, 4)) == (0.0179, 0.4042)
    assert Agreement(0, 0).interval == (0.0, 1.0) and math.isnan(Agreement(0, 0).share)
