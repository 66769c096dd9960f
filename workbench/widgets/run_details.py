"""What the Runs screen tells of the run under the cursor: configuration and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from kgpt.language import _
from kgpt.runs import Checkpoint
from workbench import wording
from workbench.run_summary import RunSummary
from workbench.widgets.colors import muted

TRAINING_KEYS = ("data", "batch_size", "precision", "minutes", "seed")
MODEL_KEYS = ("num_layers", "num_heads", "width", "context_length", "vocabulary_size", "dropout")
OPTIMIZER_KEYS = ("name", "learning_rate", "weight_decay", "warmup_steps")


class RunDetails(VerticalScroll):
    """A pane that scrolls: the state across, below it results, checkpoints, configuration, evaluations."""

    def compose(self) -> ComposeResult:
        """Five texts."""
        yield Static(id="details-head")
        with Container(id="details-columns"):
            yield Static(id="details-results")
            yield Static(id="details-checkpoints")
            yield Static(id="details-configuration")
            yield Static(id="details-evaluations")

    def show(self, run: RunSummary | None, now: float, pinned: RunSummary | None = None) -> None:
        """Show a run, or nothing; beside a pinned one, what sets their configurations apart."""
        is_readable = run is not None and not run.problem
        self.query_one("#details-columns").display = is_readable
        self.query_one("#details-head", Static).update(_head(run, now) if run else "")
        if run is not None and is_readable:
            self.query_one("#details-evaluations").display = bool(run.evaluations)
            is_compared = pinned is not None and pinned.name != run.name
            title = (
                _("beside {name}", name=pinned.name)
                if pinned and is_compared
                else _("configuration")
            )
            for name, heading, lines in (
                ("results", _("results"), _results(run)),
                ("checkpoints", _("checkpoints"), checkpoint_lines(run, now)),
                (
                    "configuration",
                    title,
                    _differences(run, pinned) if pinned and is_compared else _configuration(run),
                ),
                ("evaluations", _("evaluations"), _evaluations(run)),
            ):
                text = Content("\n").join([Content.styled(heading, "bold $secondary"), *lines])
                self.query_one(f"#details-{name}", Static).update(text)


def _head(run: RunSummary, now: float) -> Content:
    look = wording.look(run.state)
    model = wording.model_line(run)
    return Content.assemble(
        (run.name, "bold"),
        (f"  {look.dot} {look.word}", f"${look.color}"),
        muted(f"  {wording.situation(run, now)}"),
        muted(f"  ·  {model}" if model else ""),
    )


def _pair(label: str, value: str, style: str = "") -> Content:
    return Content.assemble(muted(f"{label:<17}"), (value, style))


def _results(run: RunSummary) -> list[Content]:
    at = (
        "  " + _("at step {step}", step=wording.whole(run.best_step))
        if run.best_step is not None
        else ""
    )
    return [
        _pair(_("training loss"), wording.decimal(run.train_loss)),
        _pair(_("validation loss"), wording.decimal(run.validation_loss)),
        _pair(_("best validation"), wording.decimal(run.best_validation_loss) + at, "$accent"),
        _pair(_("bits per byte"), wording.decimal(run.bits_per_byte)),
        _pair(_("tokens seen"), wording.short(run.tokens)),
        _pair(_("training time"), wording.duration(run.seconds)),
    ]


def checkpoint_lines(run: RunSummary, now: float) -> list[Content]:
    """A line for each checkpoint, the newest first: step, validation loss, size, age, badges."""
    if not run.checkpoints:
        return [muted(_("none yet; the first comes with the first evaluation"))]
    files = run.checkpoint_files or ((0, now),) * len(run.checkpoints)
    pairs = list(zip(run.checkpoints, files, strict=False))
    return [_checkpoint(item, size, now - changed) for item, (size, changed) in reversed(pairs)]


def _checkpoint(item: Checkpoint, size: int, age: float) -> Content:
    badges = [(_("★ best") + " ", "$accent")] if item.is_best else []
    badges += [(_("last"), "$primary")] if item.is_last else []
    loss = wording.decimal(item.validation_loss)
    facts = muted(f" {wording.size(size):>7} {wording.age(age):>3} ")
    return Content.assemble(f"{wording.whole(item.step):>6} {loss:>6}", facts, *badges)


def _differences(run: RunSummary, pinned: RunSummary) -> list[Content]:
    """Keys of the configuration that are not the same in both runs."""
    ours, theirs = flattened(run.configuration), flattened(pinned.configuration)
    lines = []
    for key in sorted({*ours, *theirs} - {"run"}):
        here, there = (values.get(key, wording.UNKNOWN) for values in (ours, theirs))
        if here != there:
            lines.append(Content.assemble(muted(f"{key} "), f"{there} → ", (str(here), "$accent")))
    return lines or [muted(_("the same configuration"))]


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _evaluations(run: RunSummary) -> list[Content]:
    lines: list[Content] = []
    for result in run.evaluations:
        step = (
            "" if result.step is None else "  " + _("step {step}", step=wording.whole(result.step))
        )
        lines.append(Content.assemble(result.measurement, muted(step)))
        lines += [_pair(f"  {name}", value) for name, value in result.figures]
    return lines


def _configuration(run: RunSummary) -> list[Content]:
    lines: list[Content] = []
    for section, keys in (
        ("", TRAINING_KEYS),
        ("model", MODEL_KEYS),
        ("optimizer", OPTIMIZER_KEYS),
    ):
        values = run.configuration.get(section, {}) if section else run.configuration
        if isinstance(values, dict):
            lines += [
                _pair(key.replace("_", " "), str(values[key])) for key in keys if key in values
            ]
    return lines or [muted(_("not recorded"))]
