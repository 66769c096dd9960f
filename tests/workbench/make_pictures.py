"""Draws the pictures of the README into docs/pictures: python tests/workbench/make_pictures.py"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.environ["TEXTUAL_ANIMATIONS"] = "none"
sys.path.insert(0, str(HERE))

import fixture_runs  # noqa: E402
import scenes  # noqa: E402

PICTURES = HERE.parents[1] / "docs" / "pictures"
SIZE = (120, 34)
NAMES = (
    "runs",
    "watch",
    "generate",
    "tokens",
    "attention",
    "ablation",
    "data",
    "system",
    "settings",
    "help",
)


async def draw(name: str) -> str:
    """One screen as SVG, the same on every call."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"run_name": "encyclopedia"} if name == "watch" else {}
        app = scenes.make_app(Path(folder), fixture_runs.a_zoo, **options)
        async with app.run_test(size=SIZE) as pilot:
            await scenes.SCENES[name](pilot)
            svg = app.export_screenshot(title="kgpt-workbench")
        os.chdir(HERE)
    return re.sub(r"terminal-\d+-", "terminal-", svg)


def main() -> None:
    """Write the pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        path = PICTURES / f"workbench-{name}.svg"
        path.write_text(asyncio.run(draw(name)), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
