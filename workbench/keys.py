"""The one table of keys: bindings, footer, help and command palette are made from it.

Out: `KEYS`. Every action that the workbench has stands here once, with its keys and what to call it. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal[
    "everywhere", "runs", "watch", "generate", "help", "dialog", "confirm", "form", "exporting"
]

PLACE_TITLES: dict[Place, str] = {
    "everywhere": "Everywhere",
    "runs": "Runs",
    "watch": "Watch",
    "generate": "Generate",
    "help": "Help",
    "dialog": "Question",
    "confirm": "Yes or no",
    "form": "Form",
    "exporting": "Export",
}


@dataclass(frozen=True)
class Key:
    """One action and the keys that call it."""

    place: Place
    keys: str
    """Comma-separated, as Textual names them."""
    action: str
    label: str
    """For the footer: one or two words."""
    help: str
    """For the help and the palette: a sentence without its full stop."""
    in_footer: bool = False
    display: str = ""
    """How the key is written; by default its first name."""
    writes: bool = False
    """It starts, stops or changes something: not offered with --read-only."""

    @property
    def id(self) -> str:
        """A name that a key map can refer to."""
        return f"{self.place}.{self.action.translate(str.maketrans('(', '.', ')' + chr(39)))}"

    @property
    def written(self) -> str:
        """The keys for people: `↵`, `^g`."""
        return self.display or " ".join(_written(key) for key in self.keys.split(","))


def _written(key: str) -> str:
    names = {
        "question_mark": "?",
        "slash": "/",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
        "plus": "+",
        "minus": "-",
        "enter": "↵",
        "escape": "esc",
    }
    return names.get(key, key).replace("ctrl+", "^")


KEYS: tuple[Key, ...] = (
    Key("everywhere", "1,alt+1", "show('runs')", "Runs", "Show the runs"),
    Key("everywhere", "2,alt+2", "show('watch')", "Watch", "Watch the chosen run"),
    Key("everywhere", "3,alt+3", "show('generate')", "Generate", "Write with a model"),
    Key("everywhere", "escape", "back", "Back", "One step back", display="esc"),
    Key("everywhere", "question_mark,f1", "help", "Help", "Keys and terms", True, display="?"),
    Key("everywhere", "t", "next_theme", "Theme", "Next theme"),
    Key("everywhere", "ctrl+q", "quit", "Quit", "Leave the workbench"),
    # Runs
    Key("runs", "enter", "watch", "Watch", "Watch this run", True, display="↵"),
    Key("runs", "g,o", "generate", "Generate", "Write with this run", True, display="g"),
    Key("runs", "slash", "filter", "Filter", "Show only runs that match a text", True, display="/"),
    Key("runs", "s", "sort", "Sort", "Sort by the next column"),
    Key("runs", "S", "reverse", "Reverse", "Turn the order around"),
    Key("runs", "y", "copy_path", "Copy path", "Copy the path of this run"),
    Key("runs", "space", "overlay", "Overlay", "Draw this run over the one that is watched", True),
    Key("runs", "p", "pin", "Pin", "Compare the others with this run"),
    Key("runs", "n", "new", "New run", "Train a new run", True, writes=True),
    Key("runs", "e", "export", "Export", "Write this run in another format", writes=True),
    Key("runs", "r", "resume", "Resume", "Go on with this run", writes=True),
    Key("runs", "X", "stop", "Stop", "Stop the training; again: kill it", writes=True),
    Key("runs", "R", "rename", "Rename", "Give this run another name", writes=True),
    Key("runs", "d", "delete", "Delete", "Delete this run", writes=True),
    Key("runs", "j", "cursor('down')", "Down", "Next run"),
    Key("runs", "k", "cursor('up')", "Up", "Previous run"),
    Key("runs", "q", "app.quit", "Quit", "Leave the workbench"),
    # Watch
    Key("watch", "x", "x_axis", "X axis", "X axis in steps, tokens or hours", True),
    Key("watch", "Y", "log", "Log", "Logarithmic loss on or off", True),
    Key("watch", "s", "smooth(1)", "Smooth", "Smooth the training loss more", True),
    Key("watch", "S", "smooth(-1)", "Rougher", "Smooth the training loss less"),
    Key("watch", "left_square_bracket", "other_run(-1)", "Previous", "Watch the run before"),
    Key("watch", "right_square_bracket", "other_run(1)", "Next run", "Watch the next run", True),
    Key(
        "watch", "space", "overlay", "Overlay", "Keep this run on the chart when another is watched"
    ),
    Key("watch", "p", "pin", "Pin", "Compare the others with this run"),
    Key("watch", "plus,equals_sign", "zoom(1)", "Zoom in", "Zoom in", display="+"),
    Key("watch", "minus", "zoom(-1)", "Zoom out", "Zoom out", display="-"),
    Key("watch", "0", "zoom(0)", "All", "Show the whole curve, and follow it"),
    Key("watch", "f", "follow", "Follow", "Keep the window at the newest step"),
    Key("watch", "left", "pan(-1)", "Left", "Move the window to the left", display="←"),
    Key("watch", "right", "pan(1)", "Right", "Move the window to the right", display="→"),
    Key("watch", "h", "crosshair(-1)", "Earlier", "Crosshair to the left"),
    Key("watch", "l", "crosshair(1)", "Later", "Crosshair to the right"),
    Key(
        "watch",
        "y",
        "copy_path",
        "Copy",
        "Copy what the crosshair reads, else the path of this run",
    ),
    Key("watch", "z", "maximise", "Maximise", "The chart alone, and back"),
    Key("watch", "a", "tab('samples')", "Samples", "Show what the model wrote as it learned"),
    Key("watch", "L", "tab('log')", "Log", "Show what the trainer printed"),
    Key("watch", "c", "tab('checkpoints')", "Checkpoints", "Show the checkpoints"),
    Key("watch", "C", "tab('configuration')", "Configuration", "Show the configuration"),
    Key("watch", "v", "tab('events')", "Events", "Show what happened on the way"),
    Key("watch", "comma", "sample('earlier')", "Earlier", "The sample before", display=","),
    Key("watch", "full_stop", "sample('later')", "Later", "The next sample", display="."),
    Key("watch", "slash", "filter_log", "Filter", "Show only lines of the log that have a text"),
    Key("watch", "w", "wrap_log", "Wrap", "Wrap long lines of the log, or not"),
    Key("watch", "g,o", "generate", "Generate", "Write with this run", True, display="g"),
    Key(
        "watch",
        "m",
        "note",
        "Note",
        "Note something at the crosshair, or at the last step",
        writes=True,
    ),
    Key(
        "watch", "e", "export", "Export", "Write the curves as CSV, JSON lines or SVG", writes=True
    ),
    Key("watch", "X", "stop", "Stop", "Stop the training; again: kill it", True, writes=True),
    Key("watch", "r", "resume", "Resume", "Go on with this run", writes=True),
    # Generate
    Key("generate", "ctrl+g,ctrl+j", "generate", "Generate", "Continue the prompt", True, "^g"),
    Key("generate", "escape", "stop", "Stop", "Stop writing; else leave the prompt", True, "esc"),
    Key("generate", "ctrl+r", "again", "Again", "Same prompt, new seed", True),
    Key("generate", "ctrl+l", "extend", "Go on", "Take the text into the prompt", True),
    Key("generate", "ctrl+t", "edit", "Prompt", "Back to the prompt"),
    Key("generate", "y", "copy", "Copy", "Copy the text that was written", True),
    Key("generate", "ctrl+up", "recall(-1)", "Earlier", "The generation before", display="^↑"),
    Key("generate", "ctrl+down", "recall(1)", "Later", "The next generation", display="^↓"),
    # Dialogs
    Key("dialog", "escape", "cancel", "Cancel", "Close this, and change nothing", True, "esc"),
    Key("confirm", "y", "yes", "Yes", "Yes", True),
    Key("confirm", "n", "cancel", "No", "No", True),
    Key("form", "ctrl+g,ctrl+j", "begin", "Begin", "Begin", True, "^g"),
    Key("form", "ctrl+y", "copy", "Copy", "Copy the command line", True, "^y"),
    Key("exporting", "ctrl+x", "stop", "Stop", "Stop the export", True, "^x"),
    # Help
    Key("help", "escape,question_mark,f1,q,enter", "dismiss", "Close", "Close", display="esc"),
)


def keys_of(place: Place) -> tuple[Key, ...]:
    """The keys of a place, in the order of the table."""
    return tuple(key for key in KEYS if key.place == place)


def writing_actions(place: Place) -> frozenset[str]:
    """Names of the actions of a place that start, stop or change something."""
    return frozenset(key.action.partition("(")[0] for key in keys_of(place) if key.writes)


GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        "loss",
        "nats a token: how surprised the model is by the next token; ln(vocabulary) knows nothing",
    ),
    (
        "validation",
        "the loss on text that training never sees; the best checkpoint is its lowest point",
    ),
    ("bits per byte", "the same, per byte of text: comparable between tokenizers"),
    ("gradient norm", "length of the update's direction before clipping; spikes are trouble"),
    ("temperature", "0 takes the likeliest token; higher is bolder"),
    ("top-k, top-p", "choose among the k likeliest tokens; among the likeliest that sum up to p"),
)
"""Terms that the help explains."""
