"""A model card: what a reader of an exported folder wants to know, from the run's own files.

In: a run and a checkpoint. Out: Markdown with the Hub's metadata on top: use, configuration, data, figures, samples.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpt.config import ModelConfig
from kgpt.config_values import to_dict
from kgpt.files import read_json_lines
from kgpt.model.size import parameter_count
from kgpt.runs import Checkpoint, RunFolder

CARD_FILE = "README.md"
_MARK = "<!-- written by kgpt export -->"
PROMPT = "Once upon a time"
MOST_EVALUATIONS = 20


def has_card(folder: Path) -> bool:
    """Whether `folder` is an export with a card."""
    try:
        return _MARK in (folder / CARD_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


@dataclass(frozen=True)
class Card:
    """What a card is made of."""

    run: RunFolder
    checkpoint: Checkpoint
    config: ModelConfig
    library: str
    """The Hub's name of the library that opens the folder."""
    use: str
    """Markdown: how it is opened; `{prompt}` becomes a prompt of the run."""

    def text(self) -> str:
        """The whole card."""
        about = self.run.read()
        samples = _samples(self.run, self.checkpoint)
        prompt = json.dumps(samples[-1]["prompt"] if samples else PROMPT, ensure_ascii=False)[1:-1]
        sections = [
            f"---\nlibrary_name: {self.library}\npipeline_tag: text-generation\ntags:\n- kgpt\n---",
            f"{_MARK}\n# {self.run.name}",
            f"A language model of {parameter_count(self.config):,} parameters, exported from step"
            f" {self.checkpoint.step:,} of a run of kgpt.",
            "## Use\n\n" + self.use.replace("{prompt}", prompt),
            "## Configuration\n\n" + _table(to_dict(self.config)),
            "## Data and training\n\n" + _table(_origin(about)),
            "## Figures\n\n" + _figures(self.run, self.checkpoint),
        ]
        if samples:
            sections.append("## Samples\n\n" + "\n\n".join(map(_sample, samples)))
        sections.append(
            "## Limits\n\nThe model continues text. What it writes is no source of facts, and it may repeat what is"
            " wrong or offensive in the text that it has learned from."
        )
        return "\n\n".join(sections) + "\n"


def _origin(about: Mapping[str, Any]) -> dict[str, Any]:
    """Where weights and text came from, and how they were trained; no paths of this machine."""
    data, source = about.get("data") or {}, about.get("source") or {}
    rows: dict[str, Any] = {}
    if source:
        path = str(source.get("path"))
        rows["imported from"] = Path(path).name if os.path.isabs(path) else path
        rows["its format"] = source.get("format")
    if data:
        rows |= {"data": Path(str(data.get("path"))).name}
        rows |= {
            key.replace("_", " "): data[key]
            for key in ("train_tokens", "validation_tokens")
            if key in data
        }
        configuration = about["configuration"]
        names = ("steps", "batch_size", "gradient_accumulation", "precision", "seed")
        rows |= {name.replace("_", " "): configuration.get(name) for name in names}
        rows |= {
            f"optimizer {key}": value for key, value in configuration.get("optimizer", {}).items()
        }
    rows |= {"created": about.get("created")}
    return rows | {
        f"version of {key}": value for key, value in (about.get("versions") or {}).items()
    }


def _figures(run: RunFolder, checkpoint: Checkpoint) -> str:
    rows: dict[str, Any] = {}
    for row in run.metrics():
        if row.get("step") == checkpoint.step:
            rows |= {
                key.replace("_", " "): row[key]
                for key in ("tokens", "train_loss", "validation_loss", "bits_per_byte")
                if row.get(key) is not None
            }
    if checkpoint.validation_loss is not None:
        rows.setdefault("validation loss", checkpoint.validation_loss)
    measured = [
        row
        for row in read_json_lines(run.path / "evaluations.jsonl")
        if row.get("step") == checkpoint.step
    ]
    for row in measured[-MOST_EVALUATIONS:]:
        rows |= dict(_evaluation(row))
    return _table(rows) if rows else "None were measured."


def _evaluation(row: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The numbers of an evaluation, each with what was measured."""
    what = next(
        (row[key] for key in ("task", "text", "source", "data") if row.get(key)), "evaluation"
    )
    name = Path(str(what)).name
    for key, value in row.items():
        if (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and key not in ("step", "seconds")
        ):
            yield f"{name}: {key.replace('_', ' ')}", value


def _samples(run: RunFolder, checkpoint: Checkpoint) -> list[dict[str, Any]]:
    rows = [row for row in run.samples() if "prompt" in row and "text" in row]
    return [row for row in rows if row.get("step") == checkpoint.step][-3:]


def _sample(row: Mapping[str, Any]) -> str:
    quoted = (str(row["prompt"]) + str(row["text"])).replace("\n", "\n> ")
    return f"> {quoted}"


def _table(rows: Mapping[str, Any]) -> str:
    lines = [f"| {key} | {_cell(value)} |" for key, value in rows.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")
