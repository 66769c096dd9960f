"""A run as one page of HTML: curves, configuration, samples, environment. It opens from the file, without a network.

In: a run folder, whatever state it is in. Out: `report.html` in it. Standard library only.
"""

from __future__ import annotations

import datetime
import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgpt.evaluations import Result, results
from kgpt.files import is_number, read_json, read_json_lines, write_atomically
from kgpt.runs import RunFolder, summary
from kgpt.training.curves import Curve, chart

SAMPLES_SHOWN = 12

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777; --one: #0b7285; --two: #c2255c; --three: #e8590c; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; } .soft { color: var(--soft); }
table { border-collapse: collapse; } td, th { padding: .15rem 1rem .15rem 0; text-align: left; vertical-align: top; }
td:nth-child(2) { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; } svg { width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .axis { stroke: var(--line); } svg path { fill: none; stroke-width: 1.6; }
svg .one { stroke: var(--one); } svg .two { stroke: var(--two); } svg .three { stroke: var(--three); }
figcaption span { margin-right: 1.5rem; }
.one { color: var(--one); } .two { color: var(--two); } .three { color: var(--three); }
blockquote { margin: .5rem 0 1.2rem; padding-left: 1rem; border-left: 3px solid var(--line); }
blockquote, pre { white-space: pre-wrap; overflow-wrap: anywhere; } details { margin: 1rem 0; }
"""

CHARTS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Loss (nats a token)",
        (
            ("train_loss", "training"),
            ("validation_loss", "validation"),
            ("ema_validation_loss", "validation, averaged weights"),
        ),
    ),
    ("Learning rate", (("learning_rate", "learning rate"),)),
    ("Gradient norm", (("gradient_norm", "gradient norm, before clipping"),)),
    ("Tokens a second", (("tokens_per_second", "tokens a second"),)),
)


def write_report(run: RunFolder) -> Path:
    """Write `report.html` and return its path.

    Raises:
        KgptFailure: the disk is full or the folder cannot be written.
    """
    path = run.path / "report.html"
    write_atomically(path, report(run))
    return path


def report(run: RunFolder) -> str:
    """The page."""
    values, rows = read_json(run.run_file), run.metrics()
    name = html.escape(run.name)
    now = datetime.datetime.now().isoformat(sep=" ", timespec="minutes")
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="soft">Training run, as of {now}</p>',
        _table(_result(run).items()),
        "<h2>Curves</h2>",
        *(_figure(title, series, rows) for title, series in CHARTS),
        *_evaluations(results(read_json_lines(run.evaluations_file))),
        "<h2>Samples</h2>",
        *_samples(run.samples()),
        "<h2>Configuration</h2>",
        _table(_flat(values.get("configuration"))),
        "<h2>Data</h2>",
        _table(_data(values.get("data"))),
        "<h2>Environment</h2>",
        _table([("created", values.get("created")), *_flat(values.get("versions"))]),
        "<h2>Log</h2>",
        _log(run),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _result(run: RunFolder) -> dict[str, Any]:
    shown = summary(run)
    result = {
        "state": shown["state"],
        "steps": f"{shown['step'] or 0:,} of {shown['steps'] or 0:,}",
        "tokens": shown["tokens"],
        "parameters": shown["parameters"],
        "training loss": shown["train_loss"],
        "validation loss": shown["validation_loss"],
        "best validation loss": shown["best_validation_loss"],
        "bits per byte": shown["bits_per_byte"],
        "tokens a second": shown["tokens_per_second"],
    }
    seconds = [row["seconds"] for row in run.metrics() if is_number(row.get("seconds"))]
    if seconds:
        result["time"] = str(datetime.timedelta(seconds=round(seconds[-1])))
    return {key: value for key, value in result.items() if value is not None}


def _evaluations(found: Sequence[Result]) -> list[str]:
    if not found:
        return []
    rows = []
    for result in found:
        figures = "; ".join(f"{name} {value}" for name, value in result.figures)
        step = "" if result.step is None else f" (step {result.step:,})"
        rows.append((result.measurement, f"{figures}{step}"))
    return ["<h2>Evaluations</h2>", _table(rows)]


def _figure(
    title: str, series: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, Any]]
) -> str:
    curves = []
    for (key, label), color in zip(series, ("one", "two", "three"), strict=False):
        points = [(row["step"], row[key]) for row in rows if _has(row, key)]
        if points:
            curves.append(Curve(label, color, points))
    if not curves:
        return ""
    legend = "".join(f'<span class="{curve.color}">{curve.label}</span>' for curve in curves)
    return (
        f"<figure><h3>{title}</h3>{chart(curves, title)}<figcaption>{legend}</figcaption></figure>"
    )


def _has(row: Mapping[str, Any], key: str) -> bool:
    return is_number(row.get("step")) and is_number(row.get(key))


def _samples(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ['<p class="soft">None yet.</p>']
    return [
        f'<p class="soft">step {_text(row.get("step"))}</p><blockquote><strong>{_text(row.get("prompt"))}</strong>'
        f"{_text(row.get('text'))}</blockquote>"
        for row in rows[-SAMPLES_SHOWN:][::-1]
    ]


def _log(run: RunFolder) -> str:
    try:
        text = run.log_file.read_text(encoding="utf-8", errors="replace")[-20_000:]
    except OSError:
        text = ""
    return (
        f"<details><summary>What the trainer said</summary><pre>{html.escape(text)}</pre></details>"
    )


def _flat(values: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        return []
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value))
    return rows


def _data(values: Any) -> list[tuple[str, Any]]:
    shown = (
        {key: value for key, value in values.items() if key != "shards"}
        if isinstance(values, Mapping)
        else {}
    )
    return _flat(shown)


def _table(rows: Iterable[tuple[str, Any]]) -> str:
    lines = "".join(f"<tr><th>{_text(key)}</th><td>{_text(value)}</td></tr>" for key, value in rows)
    return f"<table>{lines}</table>"


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return html.escape(
        ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    )
