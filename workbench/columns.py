"""The columns of the table of runs: how each is called, written and sorted, and how much room it asks for.

In: a `RunSummary` and what lies beside it. Out: the text of a cell. Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kgpt.language import N_, _
from workbench import wording
from workbench.run_summary import RunSummary

BAR_WIDTH = 10


@dataclass(frozen=True)
class Beside:
    """What a cell depends on besides its run."""

    now: float
    lowest: Mapping[str, float] = field(default_factory=dict)
    """The best validation loss of all runs shown, for each task: a label's loss says nothing about a text's."""


@dataclass(frozen=True)
class Column:
    """A column of the table: how it is called, written and sorted."""

    id: str
    name: str
    """An English word; `title` is what people see."""
    text: Callable[[RunSummary, Beside], str]
    order: Callable[[RunSummary], Any]
    style: str = ""
    from_width: int = 0
    """Cells that the table must have for this column to be shown."""
    is_number: bool = True

    @property
    def title(self) -> str:
        """What people see above the column."""
        return _(self.name)


def _number(name: str) -> Callable[[RunSummary], tuple[bool, Any]]:
    """Sort by a number; what is not known comes last."""

    def order(run: RunSummary) -> tuple[bool, Any]:
        value = getattr(run, name)
        return (value is None, value if value is not None else 0)

    return order


def _best(run: RunSummary, beside: Beside) -> str:
    loss = run.best_validation_loss
    is_lowest = loss is not None and loss == beside.lowest.get(run.task)
    return ("★ " if is_lowest else "") + wording.decimal(loss)


def _age(run: RunSummary, beside: Beside) -> str:
    return wording.age(beside.now - run.updated) if run.updated else wording.UNKNOWN


COLUMNS = (
    Column(
        "name", N_("run"), lambda run, _: run.name, lambda run: run.name.lower(), is_number=False
    ),
    Column(
        "state",
        N_("state"),
        lambda run, _: wording.look(run.state).word,
        lambda run: (not run.is_live, run.state),
        is_number=False,
    ),
    Column(
        "model",
        N_("model"),
        lambda run, _: " ".join(
            [run.preset] * bool(run.preset) + [wording.short(run.parameters)] * bool(run.parameters)
        ),
        lambda run: (run.preset, run.parameters or 0),
        style="foreground-muted",
        from_width=104,
        is_number=False,
    ),
    Column("step", N_("step"), lambda run, _: wording.progress(run), _number("step")),
    Column(
        "done",
        N_("done"),
        lambda run, _: "".join(wording.bar(run.progress, BAR_WIDTH)),
        _number("progress"),
        style="secondary",
        from_width=136,
        is_number=False,
    ),
    Column(
        "train", N_("train"), lambda run, _: wording.decimal(run.train_loss), _number("train_loss")
    ),
    Column(
        "validation",
        N_("val"),
        lambda run, _: wording.decimal(run.validation_loss),
        _number("validation_loss"),
        from_width=150,
    ),
    Column("best", N_("best val"), _best, _number("best_validation_loss"), style="accent"),
    Column(
        "bits",
        N_("bits/byte"),
        lambda run, _: wording.decimal(run.bits_per_byte),
        _number("bits_per_byte"),
        from_width=104,
    ),
    Column(
        "speed",
        N_("tok/s"),
        lambda run, _: wording.short(run.tokens_per_second),
        _number("tokens_per_second"),
        style="foreground-muted",
    ),
    Column(
        "age",
        N_("age"),
        _age,
        lambda run: -run.updated,
        style="foreground-muted",
        from_width=112,
    ),
    Column(
        "size",
        N_("size"),
        lambda run, _: wording.size(run.size),
        _number("size"),
        style="foreground-muted",
        from_width=124,
    ),
    Column(
        "curve",
        N_("curve"),
        lambda run, _: "",
        lambda run: run.created,
        style="primary",
        is_number=False,
    ),
)
"""All columns; the last sorts by when a run was made."""
