"""What has been written: the tree, branches, and the file that keeps them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.protocol import GenerateOptions
from workbench.generations import (
    KEPT_WITH_TOKENS,
    Generation,
    Target,
    as_state,
    neighbour,
    of_state,
    tree,
)
from workbench.state import load_state, save_state, state_folder
from workbench.tokens import Alternative, Token

TARGET = Target(Path("/runs/demo"), "best", 500, "keras")


def make(number: int, parent: int | None = None, text: str = "b") -> Generation:
    generation = Generation(
        TARGET, f"prompt {number}", GenerateOptions(stop=("x",), seed=1), "done"
    )
    generation.number, generation.parent, generation.prompt_ids = number, parent, [1, 2]
    generation.take(Token(5, text.encode(), 0.25, (Alternative(6, b"c", 0.5),)), text)
    generation.seconds, generation.first_token_at, generation.context_length = 2.0, 0.5, 3
    return generation


FAMILY = [make(1), make(2, 1), make(3), make(4, 2), make(5, 1)]


def test_the_tree_has_new_texts_first_and_branches_below_what_they_left() -> None:
    rows = [(lead, item.number) for lead, item in tree(FAMILY)]
    assert rows == [("", 3), ("", 1), ("├ ", 2), ("│ └ ", 4), ("└ ", 5)]
    assert [item.number for _, item in tree(FAMILY[1:])] == [5, 3, 2, 4], "a lost parent is no loss"


def test_walking_the_tree() -> None:
    def at(number: int, where: str) -> int | None:
        found = neighbour(FAMILY, FAMILY[number - 1], where)  # type: ignore[arg-type]
        return found.number if found else None

    assert [at(4, "up"), at(2, "up"), at(1, "up")] == [2, 1, None]
    assert [at(1, "down"), at(2, "down"), at(4, "down")] == [2, 4, None]
    assert [at(2, "after"), at(5, "before"), at(1, "after"), at(3, "after")] == [5, 2, 3, None]


def test_a_branch_keeps_the_tokens_before_it() -> None:
    generation = make(1, text=" o")
    generation.take(Token(8, b" mar"), " mar")
    assert generation.branch_prompt(1, Token(9, b" sol")) == ("prompt 1 o sol", [1, 2, 5, 9], b"")
    assert generation.branch_prompt(0, Token(9, b"\xc3")) == ("prompt 1", [1, 2, 9], b"\xc3")
    begun = Generation(TARGET, "prompt", GenerateOptions(), lead=b"\xc3")
    begun.take(Token(1, "ç".encode()[1:]), "\ufffd")
    assert begun.text == "ç"
    assert begun.branch_prompt(1, Token(2, b"a"))[0] == "promptça"


def test_places_and_the_context() -> None:
    generation = make(1)
    assert (generation.places, generation.is_cut) == (3, False)
    generation.take(Token(1, b"x"), "x")
    assert (generation.places, generation.is_cut) == (4, True)


def test_a_session_later(tmp_path: Path) -> None:
    failed = make(6)
    failed.state, failed.error = "failed", KgptError("Title", "message", "hint")
    writing = make(7)
    writing.state = "writing"
    path = tmp_path / "deep" / "history.json"
    save_state(path, 1, as_state([*FAMILY, failed, writing]))
    found = of_state(load_state(path, 1))
    assert [item.number for item in found] == [1, 2, 3, 4, 5, 6], (
        "what was being written is not kept"
    )
    assert found[0].as_dict(True) == FAMILY[0].as_dict(True)
    assert found[0].tokens_per_second == FAMILY[0].tokens_per_second
    assert found[0].target == TARGET and found[0].options == FAMILY[0].options
    assert found[-1].error and found[-1].error.message == "message"


def test_only_the_newest_keep_their_tokens() -> None:
    many = [make(number) for number in range(1, 250)]
    found = of_state(json.loads(json.dumps(as_state(many))))
    assert len(found) == 200 and found[-1].number == 249
    assert sum(bool(item.written) for item in found) == KEPT_WITH_TOKENS
    assert found[-1].written and found[0].text == "b"


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"version": 2, "generations": []}', "\x00\xff"]
)
def test_a_file_that_cannot_be_used_is_put_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(content)
    with pytest.raises(KgptError, match="Not remembered"):
        load_state(path, 1)
    assert not path.exists() and (tmp_path / "history.unreadable").read_text() == content
    assert load_state(path, 1) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(st.sampled_from([*FAMILY[0].as_dict(True)]).flatmap(
    lambda name: st.tuples(st.just(name), JSON)), max_size=3), st.integers(0, 4))  # fmt: skip
def test_whatever_the_file_holds_the_rest_is_read(
    damage: list[tuple[str, object]], which: int
) -> None:
    rows = json.loads(json.dumps(as_state(FAMILY)))["generations"]
    rows[which] |= dict(damage)
    found = of_state({"generations": [*rows, 3, None, {}]})
    assert len(found) >= len(FAMILY) - 1 or "number" in dict(damage)
    assert len(tree(found)) == len(found)


def test_numbers_that_make_no_tree_are_left_out() -> None:
    rows = [make(1, 1), make(2, 3), make(3), make(3, 3)]
    assert [item.number for item in of_state(as_state(rows))] == [3]


def test_the_state_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert state_folder() == Path("/somewhere/kgpt")
