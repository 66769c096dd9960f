"""What is shown of evaluations.jsonl, whatever stands in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kgpt.evaluations import Result, results

LAMBADA = {
    "run": "demo", "step": 10, "task": "lambada", "file": "/data/last.jsonl", "questions": 9,
    "accuracy": 0.25, "accuracy_error": 0.05, "loss": 2.0, "perplexity": 7.389,
}  # fmt: skip
LOSS = {"run": "demo", "step": 10, "source": "data/book", "stride": 64, "loss": 1.5, "tokens": 8}
HARNESS = {
    "step": 3,
    "task": "harness:x",
    "results": {"x": {"acc": 0.5, "acc_stderr": 0.1, "sample_len": 9, "alias": "x"}},
}


def test_each_measurement_has_its_newest_result():
    newer = {**LAMBADA, "step": 20, "accuracy": 0.5, "accuracy_error": None}
    assert results([LAMBADA, LOSS, newer, HARNESS]) == [
        Result("harness:x", 3, (("x acc", "0.5000 ± 0.1000"),)),
        Result("lambada, last.jsonl", 20, (("accuracy", "50.0%"), ("perplexity", "7.389"))),
        Result("loss, book, stride 64", 10, (("loss", "1.5000"),)),
    ]
    assert results([LAMBADA])[0].figures[0] == ("accuracy", "25.0% ± 5.0%")


def test_options_make_another_measurement():
    for option in ("decoder", "context", "limit"):
        assert len(results([LAMBADA, {**LAMBADA, option: 5}])) == 2


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
KEYS = st.sampled_from(
    ["task", "file", "source", "step", "results", "loss", "accuracy", "accuracy_error"]
)


@given(st.lists(st.dictionaries(KEYS, VALUES), max_size=4))
def test_rows_of_any_content_do_no_harm(rows):
    for result in results(rows):
        assert result.figures and all(
            isinstance(text, str) for pair in result.figures for text in pair
        )
