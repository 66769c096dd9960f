"""The one table of keys: bindings, footer, help and command palette are made from it.

Out: `KEYS`. Every action that the workbench has stands here once, with its keys and what to call it. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal[
    "everywhere",
    "runs",
    "watch",
    "generate",
    "attention",
    "data",
    "system",
    "tokens",
    "error",
    "help",
    "dialog",
    "confirm",
    "form",
    "exporting",
    "settings",
    "jump",
]

PLACE_TITLES: dict[Place, str] = {
    "everywhere": "Everywhere",
    "runs": "Runs",
    "watch": "Watch",
    "generate": "Generate",
    "attention": "Attention",
    "data": "Data",
    "system": "System",
    "tokens": "Tokens",
    "error": "Error",
    "help": "Help",
    "dialog": "Question",
    "confirm": "Yes or no",
    "form": "Form",
    "exporting": "Export",
    "settings": "Settings",
    "jump": "Jump",
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
        "up": "↑",
        "down": "↓",
        "left": "←",
        "right": "→",
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
    Key("everywhere", "4,alt+4", "show('attention')", "Attention", "See what a model looks at"),
    Key("everywhere", "5,alt+5", "show('data')", "Data", "Look into the prepared corpora"),
    Key("everywhere", "6,alt+6", "show('system')", "System", "Machine, versions, a bug report"),
    Key("everywhere", "escape", "back", "Back", "One step back", display="esc"),
    Key("everywhere", "question_mark,f1", "help", "Help", "Keys and terms", True, display="?"),
    Key("everywhere", "ctrl+o", "jump", "Jump", "A letter for every place to go to"),
    Key("everywhere", "f2", "settings", "Settings", "Change the settings", writes=True),
    Key("everywhere", "t", "next_theme", "Theme", "Next theme"),
    Key("everywhere", "T,alt+t", "themes", "Themes", "Choose a theme, shown as one chooses"),
    Key("everywhere", "E,alt+e", "error_details", "Error", "The last error in full, to copy"),
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
    Key("generate", "ctrl+r", "again", "Again", "Same prompt, new seed"),
    Key("generate", "ctrl+n", "reset", "New", "Begin a new conversation, or an empty prompt"),
    Key("generate", "ctrl+l", "extend", "Go on", "Take the text into the prompt", True),
    Key("generate", "ctrl+t", "edit", "Prompt", "Back to the prompt"),
    Key("generate", "y", "copy", "Copy", "Copy the text that was written", True),
    Key("generate", "ctrl+up", "recall(-1)", "Earlier", "The generation before", display="^↑"),
    Key("generate", "ctrl+down", "recall(1)", "Later", "The next generation", display="^↓"),
    Key("generate", "alt+up", "walk('up')", "Parent", "The text that this one branched from"),
    Key("generate", "alt+down", "walk('down')", "Branch", "The first branch of this text"),
    Key("generate", "alt+left", "walk('before')", "Sibling", "The branch before this one"),
    Key("generate", "alt+right", "walk('after')", "Sibling", "The branch after this one"),
    Key("generate", "v,alt+v", "next_view", "View", "Output as text, as tokens, as surprise", True),
    Key("generate", "A,alt+a", "compare", "Compare", "Two models side by side, or one again"),
    Key("generate", "O,alt+o", "more_options", "Options", "All sampling options, or the few"),
    Key("generate", "alt+g", "preset('greedy')", "Greedy", "Always the likeliest token"),
    Key("generate", "alt+b", "preset('balanced')", "Balanced", "Likely tokens, with some variety"),
    Key("generate", "alt+w", "preset('wild')", "Wild", "Unlikely tokens too"),
    Key("generate", "alt+r", "reuse", "Reuse", "The options of this text into the form"),
    Key("generate", "ctrl+s", "save", "Save", "Save the text to the run's generations.jsonl"),
    Key("generate", "f3", "pager", "Pager", "Read the text in $PAGER"),
    Key("generate", "f4", "editor", "Editor", "Write the prompt in $EDITOR"),
    Key("generate", "alt+l", "look", "Attention", "What the model looks at in this text"),
    # Attention
    Key("attention", "ctrl+g,ctrl+j", "read", "Read", "Read the text", True, "^g"),
    Key("attention", "right,l", "token(1)", "Token", "The next token", True, "←→"),
    Key("attention", "left,h", "token(-1)", "Token", "The token before", display="←"),
    Key("attention", "down,j", "layer(1)", "Layer", "The next layer", True, "↑↓"),
    Key("attention", "up,k", "layer(-1)", "Layer", "The layer before", display="↑"),
    Key("attention", "right_square_bracket", "head(1)", "Head", "The next head", True, "[]"),
    Key("attention", "left_square_bracket", "head(-1)", "Head", "The head before", display="["),
    Key("attention", "m", "mean", "Mean", "The mean of all layers and heads"),
    Key("attention", "r", "rollout", "Rollout", "Attention rolled out through the layers", True),
    Key("attention", "a", "ablation", "Ablation", "Without each word in turn, or the map", True),
    Key("attention", "y", "copy", "Copy", "Copy the words that the token draws on"),
    Key("attention", "ctrl+t", "edit", "Text", "Back to the text"),
    # Data
    Key("data", "w", "window", "Window", "Another random place of the corpus", True),
    Key("data", "v", "split", "Split", "Training or validation", True),
    Key("data", "ctrl+t", "edit", "Text", "To the text that the tokenizers cut", True),
    Key("data", "y", "copy", "Copy", "Copy the window's text", True),
    Key("data", "Y", "copy_path", "Copy path", "Copy the path of this corpus"),
    # System
    Key("system", "y", "copy", "Copy", "Copy the report", True),
    # The tokens of a text
    Key("tokens", "right,l", "move(1)", "Next", "The next token", display="→"),
    Key("tokens", "left,h", "move(-1)", "Previous", "The token before", display="←"),
    Key("tokens", "down,j", "line(1)", "Down", "The token below", display="↓"),
    Key("tokens", "up,k", "line(-1)", "Up", "The token above", display="↑"),
    Key("tokens", "home,g", "edge(0)", "First", "The first token"),
    Key("tokens", "end,G", "edge(-1)", "Last", "The last token"),
    Key("tokens", "enter", "choose", "Alternatives", "What else could stand here", display="↵"),
    # An error
    Key("error", "y", "copy", "Copy", "Copy it"),
    Key("error", "escape,q,enter,E", "dismiss", "Close", "Close", display="esc"),
    # Dialogs
    Key("dialog", "escape", "cancel", "Cancel", "Close this, and change nothing", True, "esc"),
    Key("confirm", "y", "yes", "Yes", "Yes", True),
    Key("confirm", "n", "cancel", "No", "No", True),
    Key("form", "ctrl+g,ctrl+j", "begin", "Begin", "Begin", True, "^g"),
    Key("form", "ctrl+y", "copy", "Copy", "Copy the command line", True, "^y"),
    Key("exporting", "ctrl+x", "stop", "Stop", "Stop the export", True, "^x"),
    Key("settings", "ctrl+g,ctrl+j,ctrl+s", "save", "Save", "Save the settings", True, "^g"),
    Key("jump", "escape,ctrl+o", "cancel", "Stay", "Stay here", display="esc"),
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
    (
        "surprise",
        "bits: 0 for what the model held certain, 1 for a coin's toss, 10 for one in 1,024",
    ),
    ("attention", "how much a token takes from each before it; where it looks, not what it uses"),
    ("rollout", "the layers' attention multiplied: what is left of each word in the end"),
    ("ablation", "what a word does: the next token's probability without it"),
    ("top-k, top-p", "choose among the k likeliest tokens; among the likeliest that sum up to p"),
)
"""Terms that the help explains."""
