"""Pictures in one style: values and names in, matplotlib figures out.

Colours are those of Okabe and Ito (2008), which colour-blind eyes tell apart; single-hued scales go from white to
blue, scales with a middle from orange over white to blue.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from kgpt.language import with_decimal_comma
from kgpt.learning.language import language, number
from kgpt.packages import optional_package

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8A6D00", "#444444")
"""Blue, orange, green, pink, sky, vermilion, brown, grey."""
_QUIET = "#C9CED6"
_STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 100,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": "#666666",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#E6E6E6",
    "lines.linewidth": 2.2,
    "legend.frameon": False,
    "svg.hashsalt": "kgpt",
}


def colour(index: int) -> str:
    """The colour of the `index`-th thing of a picture; after the last one they begin again."""
    return COLOURS[index % len(COLOURS)]


def figure(
    width: float = 8.0, height: float = 3.4, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Any, Any]:
    """A figure of `width` × `height` inches and its axes, one or an array of them, as `pyplot.subplots` gives them.

    Raises:
        KgptError: matplotlib is not installed.
    """
    pyplot = optional_package("matplotlib.pyplot", "learn", "A picture")
    pyplot.rcParams.update({**_STYLE, "axes.prop_cycle": pyplot.cycler(color=COLOURS)})
    options = {"figsize": (width, height), "layout": "constrained", **options}
    made: tuple[Any, Any] = pyplot.subplots(rows, columns, **options)
    return made


def show(figure: Any) -> None:
    """Show a figure in the notebook as a PNG, and close it; outside a notebook it is drawn and closed."""
    from matplotlib import pyplot

    if language() == "pt":
        for axes in figure.axes:
            _write_decimal_commas(axes)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    pyplot.close(figure)
    from IPython.core.getipython import get_ipython
    from IPython.display import Image, display

    if get_ipython() is not None:
        display(Image(drawn.getvalue()))


def _write_decimal_commas(axes: Any) -> None:
    """Numbers along the axes as Portuguese writes them; names and powers of ten stay as they are."""
    from matplotlib.ticker import ScalarFormatter

    class DecimalComma(ScalarFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return with_decimal_comma(super().__call__(x, pos))

    for axis in (axes.xaxis, axes.yaxis):
        if type(axis.get_major_formatter()) is ScalarFormatter:
            axis.set_major_formatter(DecimalComma())


def bars(
    axes: Any, names: Sequence[str], values: Sequence[float], highlighted: Sequence[int] = ()
) -> None:
    """Horizontal bars, the first at the top; with `highlighted`, only these have colour."""
    colours = [
        COLOURS[0] if not highlighted or index in highlighted else _QUIET
        for index in range(len(names))
    ]
    axes.barh(range(len(names)), values, color=colours)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.grid(False, axis="y")


def heatmap(
    axes: Any,
    values: Any,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
    *,
    digits: int | None = None,
    centred: bool = False,
    largest: float | None = None,
) -> Any:
    """A matrix as coloured squares, rows downwards; the image, for a colour bar.

    Args:
        axes: where to draw.
        values: (rows, columns).
        rows: names at the left; numbers without them.
        columns: names below, likewise.
        digits: decimals of the numbers written into the squares; none are written without it.
        centred: whether zero is the middle of the colours, for values of both signs.
        largest: the value of the darkest colour, where it is not the largest of these.
    """
    import numpy as np
    from matplotlib.colors import LinearSegmentedColormap

    values = np.asarray(values, dtype=float)
    top = float(np.nanmax(np.abs(values))) if largest is None else largest
    hues = ["#B35806", "#FFFFFF", "#0072B2"] if centred else ["#FFFFFF", "#0072B2"]
    scale = LinearSegmentedColormap.from_list("kgpt", hues).with_extremes(bad="#EEEEEE")
    image = axes.imshow(
        values, cmap=scale, vmin=-top if centred else 0.0, vmax=top or 1.0, aspect="auto"
    )
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True)
    if len(rows):
        axes.set_yticks(range(len(rows)), rows)
    if len(columns):
        slanted = any(len(name) > 3 for name in columns)
        axes.set_xticks(
            range(len(columns)),
            columns,
            rotation=45 if slanted else 0,
            ha="right" if slanted else "center",
            rotation_mode="anchor" if slanted else "default",
        )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if digits is not None:
        for (row, column), value in np.ndenumerate(values):
            dark = abs(value) > 0.6 * top
            text = "" if np.isnan(value) else number(value, digits)
            ink = "white" if dark else "#222222"
            axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=9)
    return image


def token_boxes(
    axes: Any, tokens: Sequence[str], ids: Sequence[int] = (), *, line: int = 48
) -> None:
    """Tokens as coloured boxes in a row, their ids below; a new row after `line` characters."""
    from matplotlib.patches import FancyBboxPatch

    left, row = 0.0, 0
    for index, token in enumerate(tokens):
        text = token.replace(" ", "·").replace("\n", "↵")
        width = max(len(text), len(str(ids[index])) if ids else 0) + 0.8
        if left and left + width > line:
            left, row = 0.0, row + 1
        box = (left + 0.1, -row - 0.3)
        shape = FancyBboxPatch(
            box,
            width - 0.2,
            0.42,
            boxstyle="round,pad=0,rounding_size=0.12",
            mutation_aspect=0.12,
            facecolor=colour(index % 5),
            alpha=0.28,
            edgecolor="none",
        )
        axes.add_patch(shape)
        middle = left + width / 2
        style = {"ha": "center", "va": "center", "family": "monospace"}
        axes.text(middle, -row - 0.09, text, fontsize=12, **style)
        if ids:
            axes.text(middle, -row - 0.45, str(ids[index]), fontsize=8.5, color="#555555", **style)
        left += width
    axes.set_xlim(0, line)
    axes.set_ylim(-row - (0.65 if ids else 0.35), 0.25)
    axes.axis("off")


def named_points(
    axes: Any,
    points: Any,
    names: Sequence[str],
    groups: Sequence[int] | None = None,
    *,
    kinds: Sequence[str] = (),
    hollow: Sequence[bool] | None = None,
) -> None:
    """Points of a plane, each with its name on the side where there is room for it.

    Args:
        axes: where to draw; its title, if any, is set before.
        points: (N, 2), across and up.
        names: N texts.
        groups: N numbers of groups, each with a colour and a mark of its own.
        kinds: what the groups are called, for a legend.
        hollow: N truths, whether a point's inside is left white.
    """
    for group, kind in enumerate(kinds):
        axes.scatter([], [], color=colour(group), marker=_MARKS[group], s=42, label=kind)
    for index, (across, up) in enumerate(points):
        group = 0 if groups is None else groups[index]
        inside = "white" if hollow is not None and hollow[index] else colour(group)
        style = {"marker": _MARKS[group], "s": 42, "linewidth": 1.8, "zorder": 3}
        axes.scatter([across], [up], facecolor=inside, edgecolor=colour(group), **style)
    axes.margins(0.12)
    axes.figure.canvas.draw()  # from here on, places on the page are known
    _write_names(axes, axes.transData.transform(points), points, names)


_MARKS = "o^sDvP*X"
_SIDES = ((7, -3, "left"), (-7, -3, "right"), (0, 7, "center"), (0, -14, "center"), (6, 5, "left"))
"""Points to the right and up from a mark's middle to its name, and which end of the name is there."""


def _write_names(axes: Any, pixels: Any, points: Any, names: Sequence[str]) -> None:
    """Each name on the first side where it covers no mark and no name written before; else on the first."""
    from matplotlib.transforms import Bbox

    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in pixels]
    style = {"textcoords": "offset points", "fontsize": 8.5}
    for name, point in zip(names, points, strict=True):
        for right, up, end in _SIDES:
            label = axes.annotate(name, point, xytext=(right, up), ha=end, **style)
            place = label.get_window_extent()
            if not any(place.overlaps(other) for other in taken):
                break
            label.remove()
        else:
            label = axes.annotate(name, point, xytext=_SIDES[0][:2], **style)
        taken.append(place)
