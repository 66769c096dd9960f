"""The colours of runs: stable, distinct, and told apart by colour-blind eyes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from workbench.palette import MARKS, ON_DARK, ON_LIGHT, looks

BLINDNESS = {
    "none": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""What an eye of each kind sees of linear RGB: Machado, Oliveira and Fernandes (2009), severity 1."""


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear sRGB, white point D65."""
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.clip(to_xyz @ np.clip(rgb, 0, 1), 1e-9, None) / [0.9505, 1.0, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("kind", BLINDNESS)
@pytest.mark.parametrize("colors", [ON_DARK, ON_LIGHT])
def test_no_two_colours_look_alike(colors: tuple[str, ...], kind: str) -> None:
    seen = [lab(np.array(BLINDNESS[kind]) @ linear(color)) for color in colors]
    pairs = itertools.combinations(range(len(colors)), 2)
    closest = min((np.linalg.norm(seen[a] - seen[b]), colors[a], colors[b]) for a, b in pairs)
    assert closest[0] > 10, closest


@pytest.mark.parametrize(("colors", "background"), [(ON_DARK, "#0f131a"), (ON_LIGHT, "#fbfbf9")])
def test_every_colour_stands_out(colors: tuple[str, ...], background: str) -> None:
    weights = [0.2126, 0.7152, 0.0722]
    behind = linear(background) @ weights + 0.05
    for color in colors:
        contrast = (linear(color) @ weights + 0.05) / behind
        assert max(contrast, 1 / contrast) > 3, color


def test_a_run_keeps_its_look_whatever_comes_after_it() -> None:
    alone = looks(["a"])["a"]
    for others in (["b"], ["b", "c", "d", "e", "f", "g", "h"]):
        assert looks(["a", *others])["a"] == alone


def test_all_are_different_as_long_as_there_are_enough() -> None:
    names = [f"run-{number}" for number in range(len(MARKS))]
    found = looks(names).values()
    assert len({look.color for look in found}) == len({look.mark for look in found}) == len(MARKS)
    assert len(looks([*names, "one-more", "and-more"])) == len(MARKS) + 2
    assert looks(["a"])["a"].color != looks(["a"], is_dark=False)["a"].color
