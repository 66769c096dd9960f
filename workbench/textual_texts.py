"""Texts that Textual brings, so that the catalog has them: the command palette and the footer show them translated."""

from __future__ import annotations

from kgpt.language import N_

TEXTS = (
    N_("Change the current theme"),
    N_("Quit the application as soon as possible"),
    N_("Keys"),
    N_("Hide the keys and widget help panel"),
    N_("Show help for the focused widget and a summary of available keys"),
    N_("Minimize"),
    N_("Minimize the widget and restore to normal size"),
    N_("Maximize"),
    N_("Maximize the focused widget"),
    N_("Screenshot"),
    N_("Save an SVG 'screenshot' of the current screen"),
    N_("palette"),
    N_("Open the command palette"),
    N_("Dismiss menu"),
    N_("Exit the command palette"),
    N_("space"),
)
"""As Textual 8.2 words them."""
