"""Colours of the theme for what is drawn with Rich, and the two themes of the house."""

from __future__ import annotations

from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError
from textual.content import Content
from textual.theme import Theme

THEMES = (
    Theme(
        name="kgpt-dark",
        primary="#6cb6ff",
        secondary="#8b98ad",
        accent="#f5a35c",
        success="#7fd88f",
        warning="#f2c55c",
        error="#ff7b86",
        foreground="#d9dfe8",
        background="#0f131a",
        surface="#151a23",
        panel="#1d2430",
        dark=True,
        variables={
            "foreground-muted": "#7d8899",
            "footer-background": "#0f131a",
            "footer-key-foreground": "#6cb6ff",
            "footer-description-foreground": "#8b98ad",
            "block-cursor-background": "#253349",
            "block-cursor-foreground": "#f2f6fb",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#1b2432",
            "input-selection-background": "#2f4a6d",
        },
    ),
    Theme(
        name="kgpt-light",
        primary="#0b62b8",
        secondary="#5b6675",
        accent="#b4540a",
        success="#1a7f37",
        warning="#8f6400",
        error="#c62a36",
        foreground="#1c232c",
        background="#fbfbf9",
        surface="#f3f3ef",
        panel="#e8e8e2",
        dark=False,
        variables={
            "foreground-muted": "#6c7683",
            "footer-background": "#fbfbf9",
            "footer-key-foreground": "#0b62b8",
            "footer-description-foreground": "#5b6675",
            "block-cursor-background": "#d5e5f6",
            "block-cursor-foreground": "#10161d",
            "block-cursor-text-style": "none",
            "block-cursor-blurred-background": "#e5ebf1",
            "input-selection-background": "#b9d6f2",
        },
    ),
)


def rich_style(app: App[object], name: str, bold: bool = False) -> Style:
    """The Rich style of a colour of the theme, such as `primary` or `foreground-muted`."""
    try:
        color = Color.parse(app.theme_variables.get(name, ""))
    except ColorParseError:  # a theme may say `auto`
        return Style(bold=bold)
    return Style(color=color.rich_color, bold=bold)


def muted(text: str) -> Content:
    """Text that stays in the background."""
    return Content.styled(text, "$foreground-muted")
