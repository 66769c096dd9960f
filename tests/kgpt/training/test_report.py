"""The page about a run: well-formed, self-contained, true. Nothing here loads Keras."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from kgpt.commands import main
from kgpt.config import TrainConfig
from kgpt.config_values import to_dict
from kgpt.files import append_json_line, write_json
from kgpt.runs import RunFolder
from kgpt.training.curves import MOST_POINTS, Curve, chart, ticks
from kgpt.training.report import write_report

PROMPT = "<b>Olá & adeus"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "tiny")
    folder.path.mkdir()
    values = {"format_version": 1, "configuration": to_dict(TrainConfig(run="tiny"))}
    values |= {"versions": {"keras": "3.15.1"}, "data": {"path": "/data/x", "shards": {"a": "b"}}}
    write_json(folder.run_file, values)
    for step in range(10, 1010, 10):
        row = {"step": step, "seconds": step / 10, "train_loss": 5 - step / 500}
        append_json_line(folder.metrics_file, {**row, "learning_rate": 1e-3, "mfu": 0.5})
    append_json_line(folder.metrics_file, {"step": 1000, "train_loss": float("nan")})
    append_json_line(folder.metrics_file, {"step": 1000, "validation_loss": 3.25})
    append_json_line(folder.samples_file, {"step": 1000, "prompt": PROMPT, "text": " ok"})
    folder.write_status("finished", step=1000, steps=1000)
    folder.log_file.write_text("A line of the log <>\n")
    return folder


def parsed(run: RunFolder) -> ElementTree.Element:
    """The page as XML: every tag that is opened is closed."""
    text = write_report(run).read_text(encoding="utf-8")
    for tag in (
        'meta charset="utf-8"',
        'meta name="viewport" content="width=device-width, initial-scale=1"',
    ):
        text = text.replace(f"<{tag}>", "")
    return ElementTree.fromstring(text.removeprefix("<!doctype html>\n"))


def test_the_page_shows_the_run(run):
    page = parsed(run)
    text = "".join(page.itertext())
    for words in ("3.25", "1,000 of 1,000", "optimizer.learning_rate", "keras", "3.15.1", PROMPT):
        assert words in text
    assert "A line of the log <>" in text and "shards" not in text
    labels = [svg.get("aria-label") for svg in page.iter("svg")]
    assert labels == ["Loss (nats a token)", "Learning rate"]


def test_the_page_shows_what_was_evaluated(run):
    assert "Evaluations" not in "".join(parsed(run).itertext())
    row = {"step": 1000, "task": "lambada", "file": "x/last<>.jsonl", "accuracy": 0.25}
    append_json_line(run.evaluations_file, {**row, "accuracy_error": 0.0625})
    text = "".join(parsed(run).itertext())
    assert "lambada, last<>.jsonl" in text and "accuracy 25.0% ± 6.2% (step 1,000)" in text


def test_the_page_needs_no_network(run):
    text = write_report(run).read_text(encoding="utf-8")
    assert (
        "http" not in text
        and "src=" not in text
        and "<script" not in text
        and "@import" not in text
    )


def test_a_run_with_nothing_in_it_has_a_page_too(tmp_path):
    folder = RunFolder(tmp_path / "empty")
    folder.path.mkdir()
    write_json(folder.run_file, {"format_version": 1})
    assert "None yet." in "".join(parsed(folder).itertext())


def test_a_curve_goes_through_its_points_and_is_thinned():
    points = [(float(step), float(step % 7)) for step in range(10 * MOST_POINTS)]
    picture = ElementTree.fromstring(chart([Curve("x", "one", points)], "x & y"))
    (path,) = picture.iter("path")
    assert MOST_POINTS <= path.get("d").count(",") <= MOST_POINTS + 2
    flat = ElementTree.fromstring(chart([Curve("x", "one", [(0.0, 2.0), (10.0, 2.0)])], "flat"))
    assert flat.find("path") is not None


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1000, [0, 200, 400, 600, 800, 1000]), (3.1, 5.0, [3.5, 4.0, 4.5, 5.0]), (2, 2, [2])],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


def test_the_command_writes_pages(run, capsys):
    arguments = ["report", "tiny", "--saved-models", str(run.path.parent)]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"reports": [str(run.path / "report.html")]}
    assert main(arguments) == 0 and capsys.readouterr().out.strip().endswith("report.html")
    assert main(["report", "nowhere", "--saved-models", str(run.path.parent)]) == 2
