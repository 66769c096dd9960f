"""Lines in braille."""

from __future__ import annotations

import numpy as np

from workbench import braille


def drawn(x: list[float], y: list[float], width: int = 4, height: int = 2) -> list[str]:
    rows = [[" "] * width for _ in range(height)]
    for column, row, character in braille.draw(np.array(x), np.array(y), width, height):
        rows[row][column] = character
    return ["".join(row) for row in rows]


def test_horizontal_vertical_and_slanted() -> None:
    assert drawn([0, 3.9], [0, 0]) == ["⠉⠉⠉⠉", "    "]
    assert drawn([0, 0], [0, 1.9]) == ["⡇   ", "⡇   "]
    assert drawn([0, 3.99], [0, 1.99]) == ["⠑⢄  ", "  ⠑⢄"]


def test_a_single_point_is_a_dot() -> None:
    assert drawn([1.5], [1.0]) == ["    ", " ⠈  "]


def test_what_lies_outside_is_cut_off() -> None:
    assert drawn([-5, 9], [0.3, 0.3]) == ["⠒⠒⠒⠒", "    "]
    assert drawn([1, 1], [-1e12, 1e12])[0][1] == "⡇"
    assert drawn([50, 60], [50, 60]) == ["    ", "    "]


def test_no_gap_between_corners() -> None:
    x = np.linspace(0, 79, 500)
    cells = braille.draw(x, 10 + 9 * np.sin(x * 3), 80, 20)
    assert {column for column, _, _ in cells} == set(range(80))
