from __future__ import annotations

import pytest

from kgpt.errors import KgptError
from kgpt.inference.thresholds import Thresholds

CHANCES = {"ham": 0.55, "spam": 0.40, "ads": 0.05}


@pytest.mark.parametrize(
    ("every", "of", "given"),
    [
        (0.0, {}, "ham"),
        (0.5, {}, "ham"),
        (0.6, {}, None),
        (0.0, {"spam": 0.4}, "spam"),
        (0.0, {"spam": 0.41}, "ham"),
        (0.0, {"ham": 0.9}, "spam"),
        (0.5, {"ham": 0.9}, None),
        (0.0, {"spam": 0.3, "ads": 0.01}, "spam"),
        (0.0, {"spam": 0.39, "ads": 0.01}, "ads"),
    ],
)
def test_which_label_is_given(every, of, given):
    assert Thresholds(every, of).choose(CHANCES) == given


def test_a_threshold_of_an_unknown_label_is_refused():
    with pytest.raises(KgptError, match="no label 'spma'. There is ham, spam"):
        Thresholds(0.0, {"spma": 0.5}).check(("ham", "spam"))
