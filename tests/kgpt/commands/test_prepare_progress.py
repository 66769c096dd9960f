"""What `kgpt prepare` shows while it works, rendered as text."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from rich.text import Text

from kgpt.commands import prepare_progress
from kgpt.commands.prepare_progress import PrepareDisplay, Speed, figures, size
from kgpt.text.prepare import Progress

MB = 1_000_000


def reading(done: int, seconds: float, documents: int = 12) -> Progress:
    return Progress("reading", done, None, documents, 0, seconds)


def writing(done: int, seconds: float) -> Progress:
    return Progress("writing tokens", done, 100 * MB, 50, done // 4, seconds)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_951, "1.0 MB"),
        (10_666_855, "10.7 MB"),
        (50_110_000_000, "50.1 GB"),
        (2_500_000_000_000_000, "2,500.0 TB"),
    ],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_speed_is_that_of_late() -> None:
    speed = Speed()
    assert speed(reading(0, 0)) == 0
    assert speed(reading(10 * MB, 1)) == pytest.approx(10 * MB)
    for second in range(2, 100):
        late = speed(reading(10 * MB + (second - 1) * MB, second))
    assert late == pytest.approx(MB), "what was long ago does not count"
    assert speed(writing(5 * MB, 1)) == pytest.approx(5 * MB), "a stage begins anew"


def test_figures() -> None:
    assert figures(reading(40 * MB, 2), 20 * MB) == "40.0 MB  12 documents  20.0 MB/s"
    half = writing(50 * MB, 5)
    everything = "50.0 MB of 100.0 MB  50 documents  12,500,000 tokens  10.0 MB/s  0:05 left"
    assert figures(half, 10 * MB) == everything
    assert figures(half, 0) == "50.0 MB of 100.0 MB  50 documents  12,500,000 tokens"
    lengths = []
    for width in range(len(everything), 10, -1):
        shown = figures(half, 10 * MB, width)
        assert len(shown) <= width or shown == "50.0 MB of 100.0 MB  0:05 left"
        lengths.append(len(shown))
    assert lengths == sorted(lengths, reverse=True) and len(set(lengths)) == 4
    assert "0:00 left" in figures(writing(101 * MB, 5), 10 * MB), "more than was expected"


def all_stages(display: PrepareDisplay) -> None:
    with display:
        display.line("Reading")
        for second in range(41):
            display.progress(reading(second * MB, second))
        display.line("Training a tokenizer with 300 ids")
        display.line("Writing tokens")
        for second in range(11):
            display.progress(writing(second * 10 * MB, second))


def test_a_pipe_is_told_of_each_stage_and_not_flooded() -> None:
    written = io.StringIO()
    all_stages(PrepareDisplay(Console(file=written, width=80)))
    assert written.getvalue().splitlines() == [
        "Reading",
        "Training a tokenizer with 300 ids",
        "Writing tokens",
    ]


def test_a_pipe_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_progress, "LINE_SECONDS", 0.0)
    written = io.StringIO()
    all_stages(PrepareDisplay(Console(file=written, width=80)))
    lines = written.getvalue().splitlines()
    assert "Reading  20.0 MB  12 documents  1.0 MB/s" in lines
    assert "Reading  40.0 MB  12 documents  1.0 MB/s  0:40" in lines, "how the stage ended"
    half = "Writing tokens  50.0 MB of 100.0 MB  50 documents  12,500,000 tokens  10.0 MB/s"
    assert f"{half}  0:05 left" in lines
    assert lines[-1].startswith("Writing tokens  100.0 MB  50 documents  25,000,000 tokens")
    assert "\x1b" not in written.getvalue()


def on_terminal(width: int = 80) -> tuple[PrepareDisplay, io.StringIO]:
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=True, color_system="truecolor")
    return PrepareDisplay(console), written


def staying_lines(written: io.StringIO) -> list[str]:
    """What stays on a terminal: what a later line overwrites, and the codes, taken away."""
    text = re.sub(r"\x1b\[\?25[lh]|\x1b\[1A", "", written.getvalue())
    parts = [line.split("\r")[-1].split("\x1b[2K")[-1] for line in text.split("\n")]
    return [line for part in parts if (line := Text.from_ansi(part).plain.strip())]


def test_on_a_terminal_each_stage_leaves_a_line() -> None:
    display, written = on_terminal()
    all_stages(display)
    staying = staying_lines(written)
    assert "Reading  40.0 MB  12 documents  1.0 MB/s  0:40" in staying
    assert "Training a tokenizer with 300 ids" in staying
    last = "Writing tokens  100.0 MB  50 documents  25,000,000 tokens  10.0 MB/s  0:10"
    assert last in staying
    assert staying.count("Reading") == staying.count("Writing tokens") == 0, "shown by the bar"


def test_stages_that_nobody_announces() -> None:
    display, written = on_terminal()
    with display:
        display.progress(reading(40 * MB, 40))
        display.progress(writing(100 * MB, 10))
    assert staying_lines(written)[:2] == [
        "Reading  40.0 MB  12 documents  1.0 MB/s  0:40",
        "Writing tokens  100.0 MB  50 documents  25,000,000 tokens  10.0 MB/s  0:10",
    ]


def test_what_is_said_survives_an_interruption() -> None:
    display, written = on_terminal()
    with pytest.raises(KeyboardInterrupt), display:
        display.line("a line with [brackets] and [/slashes]")
        display.progress(reading(40 * MB, 40))
        raise KeyboardInterrupt
    assert "a line with [brackets] and [/slashes]" in staying_lines(written)
    assert "Reading  40.0 MB  12 documents  1.0 MB/s  0:40" in staying_lines(written)
    assert written.getvalue().rstrip().endswith("\x1b[2K"), "the bar is wiped"


def test_nothing_has_changed() -> None:
    display, written = on_terminal()
    with display:
        display.line("Nothing has changed: data/book is up to date.")
    assert "Nothing has changed: data/book is up to date." in staying_lines(written)
