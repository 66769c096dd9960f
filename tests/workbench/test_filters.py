"""The filter language, on summaries of fixture runs."""

from __future__ import annotations

from pathlib import Path

import fixture_runs as runs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.catalog import Catalog
from workbench.filters import FilterError, parse
from workbench.run_summary import RunSummary

ALL = {"damaged", "encyclopedia", "fresh", "machado", "tinyshakespeare", "too-hot"}


@pytest.fixture
def summaries(root: Path) -> tuple[RunSummary, ...]:
    runs.a_zoo(root)
    catalog = Catalog(root, lambda: runs.NOW)
    catalog.refresh()
    return catalog.summaries


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ALL),
        ("  |  ", ALL),
        ("char running", {"machado"}),
        ("tshk", {"tinyshakespeare"}),
        ("state:live", {"fresh", "machado"}),
        ("-state:live", ALL - {"fresh", "machado"}),
        ("state!=live", ALL - {"fresh", "machado"}),
        ("state:crashed | state:failed", {"tinyshakespeare", "too-hot"}),
        ("preset:char", {"machado", "tinyshakespeare"}),
        ("val<1.9", {"encyclopedia", "tinyshakespeare"}),
        ("best<1.9 state:finished", {"encyclopedia"}),
        ("step>=620 step<=880", {"machado", "tinyshakespeare", "too-hot"}),
        ("params>1M -char", {"encyclopedia", "too-hot"}),
        ("age>50m", {"encyclopedia", "tinyshakespeare", "too-hot"}),
        ("lr>=1e-4 width=256", ALL - {"damaged"}),
        ("lr>1", set()),
        ("steps=2k", {"machado", "tinyshakespeare"}),
        ("optimizer.name:muon", ALL - {"damaged"}),
        ("optimizer.name!=muon", set()),
        ("progress>50%", {"encyclopedia"}),
        ("seed=3", {"tinyshakespeare"}),
        ("data:encyclopedia fresh", {"fresh"}),
    ],
)
def test_what_a_filter_shows(summaries: tuple[RunSummary, ...], text: str, names: set[str]) -> None:
    chosen = parse(text)
    assert {run.name for run in summaries if chosen.matches(run, runs.NOW)} == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("val<", "needs something"),
        ("val<low", "a number such as 3.2"),
        ("age>2w", "90m or 2d"),
        ("state>live", "state:live"),
        ("moons=3", "no key 'moons'"),
        ("width<wide", "compares with a number"),
        ("name=x val>y", "not 'y'"),
    ],
)
def test_what_means_nothing_is_told(text: str, words: str) -> None:
    with pytest.raises(FilterError) as error:
        parse(text)
    assert words in str(error.value)


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_an_error(text: str) -> None:
    run = RunSummary("demo", Path("demo"))
    try:
        parse(text).matches(run, 0.0)
    except FilterError as error:
        assert str(error)
