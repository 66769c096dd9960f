"""The one table of keys: bindings, footer, help and command palette are made from it.

Out: `KEYS`. Every action that the workbench has stands here once, with its keys and what to call it. Knows no Textual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kgpt.language import N_, _

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
    "everywhere": N_("Everywhere"),
    "runs": N_("Runs"),
    "watch": N_("Watch"),
    "generate": N_("Generate"),
    "attention": N_("Attention"),
    "data": N_("Data"),
    "system": N_("System"),
    "tokens": N_("Tokens"),
    "error": N_("Error"),
    "help": N_("Help"),
    "dialog": N_("Question"),
    "confirm": N_("Yes or no"),
    "form": N_("Form"),
    "exporting": N_("Export"),
    "settings": N_("Settings"),
    "jump": N_("Jump"),
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
        "space": _("space"),
    }
    return names.get(key, key).replace("ctrl+", "^")


KEYS: tuple[Key, ...] = (
    Key("everywhere", "1,alt+1", "show('runs')", N_("Runs"), N_("Show the runs")),
    Key("everywhere", "2,alt+2", "show('watch')", N_("Watch"), N_("Watch the chosen run")),
    Key("everywhere", "3,alt+3", "show('generate')", N_("Generate"), N_("Write with a model")),
    Key(
        "everywhere",
        "4,alt+4",
        "show('attention')",
        N_("Attention"),
        N_("See what a model looks at"),
    ),
    Key("everywhere", "5,alt+5", "show('data')", N_("Data"), N_("Look into the prepared corpora")),
    Key(
        "everywhere",
        "6,alt+6",
        "show('system')",
        N_("System"),
        N_("Machine, versions, a bug report"),
    ),
    Key("everywhere", "escape", "back", N_("Back"), N_("One step back"), display="esc"),
    Key(
        "everywhere",
        "question_mark,f1",
        "help",
        N_("Help"),
        N_("Keys and terms"),
        True,
        display="?",
    ),
    Key("everywhere", "ctrl+o", "jump", N_("Jump"), N_("A letter for every place to go to")),
    Key("everywhere", "f2", "settings", N_("Settings"), N_("Change the settings"), writes=True),
    Key("everywhere", "t", "next_theme", N_("Theme"), N_("Next theme")),
    Key(
        "everywhere", "T,alt+t", "themes", N_("Themes"), N_("Choose a theme, shown as one chooses")
    ),
    Key(
        "everywhere", "E,alt+e", "error_details", N_("Error"), N_("The last error in full, to copy")
    ),
    Key("everywhere", "ctrl+q", "quit", N_("Quit"), N_("Leave the workbench")),
    # Runs
    Key("runs", "enter", "watch", N_("Watch"), N_("Watch this run"), True, display="↵"),
    Key("runs", "g,o", "generate", N_("Generate"), N_("Write with this run"), True, display="g"),
    Key(
        "runs",
        "slash",
        "filter",
        N_("Filter"),
        N_("Show only runs that match a text"),
        True,
        display="/",
    ),
    Key("runs", "s", "sort", N_("Sort"), N_("Sort by the next column")),
    Key("runs", "S", "reverse", N_("Reverse"), N_("Turn the order around")),
    Key("runs", "y", "copy_path", N_("Copy path"), N_("Copy the path of this run")),
    Key(
        "runs",
        "space",
        "overlay",
        N_("Overlay"),
        N_("Draw this run over the one that is watched"),
        True,
    ),
    Key("runs", "p", "pin", N_("Pin"), N_("Compare the others with this run")),
    Key("runs", "n", "new", N_("New run"), N_("Train a new run"), True, writes=True),
    Key("runs", "e", "export", N_("Export"), N_("Write this run in another format"), writes=True),
    Key("runs", "r", "resume", N_("Resume"), N_("Go on with this run"), writes=True),
    Key("runs", "X", "stop", N_("Stop"), N_("Stop the training; again: kill it"), writes=True),
    Key("runs", "R", "rename", N_("Rename"), N_("Give this run another name"), writes=True),
    Key("runs", "d", "delete", N_("Delete"), N_("Delete this run"), writes=True),
    Key("runs", "j", "cursor('down')", N_("Down"), N_("Next run")),
    Key("runs", "k", "cursor('up')", N_("Up"), N_("Previous run")),
    Key("runs", "q", "app.quit", N_("Quit"), N_("Leave the workbench")),
    # Watch
    Key("watch", "x", "x_axis", N_("X axis"), N_("X axis in steps, tokens or hours"), True),
    Key("watch", "Y", "log", N_("Log"), N_("Logarithmic loss on or off"), True),
    Key("watch", "s", "smooth(1)", N_("Smooth"), N_("Smooth the training loss more"), True),
    Key("watch", "S", "smooth(-1)", N_("Rougher"), N_("Smooth the training loss less")),
    Key(
        "watch", "left_square_bracket", "other_run(-1)", N_("Previous"), N_("Watch the run before")
    ),
    Key(
        "watch",
        "right_square_bracket",
        "other_run(1)",
        N_("Next run"),
        N_("Watch the next run"),
        True,
    ),
    Key(
        "watch",
        "space",
        "overlay",
        N_("Overlay"),
        N_("Keep this run on the chart when another is watched"),
    ),
    Key("watch", "p", "pin", N_("Pin"), N_("Compare the others with this run")),
    Key("watch", "plus,equals_sign", "zoom(1)", N_("Zoom in"), N_("Zoom in"), display="+"),
    Key("watch", "minus", "zoom(-1)", N_("Zoom out"), N_("Zoom out"), display="-"),
    Key("watch", "0", "zoom(0)", N_("All"), N_("Show the whole curve, and follow it")),
    Key("watch", "f", "follow", N_("Follow"), N_("Keep the window at the newest step")),
    Key("watch", "left", "pan(-1)", N_("Left"), N_("Move the window to the left"), display="←"),
    Key("watch", "right", "pan(1)", N_("Right"), N_("Move the window to the right"), display="→"),
    Key("watch", "h", "crosshair(-1)", N_("Earlier"), N_("Crosshair to the left")),
    Key("watch", "l", "crosshair(1)", N_("Later"), N_("Crosshair to the right")),
    Key(
        "watch",
        "y",
        "copy_path",
        N_("Copy"),
        N_("Copy what the crosshair reads, else the path of this run"),
    ),
    Key("watch", "z", "maximise", N_("Maximise"), N_("The chart alone, and back")),
    Key(
        "watch", "a", "tab('samples')", N_("Samples"), N_("Show what the model wrote as it learned")
    ),
    Key("watch", "L", "tab('log')", N_("Log"), N_("Show what the trainer printed")),
    Key("watch", "c", "tab('checkpoints')", N_("Checkpoints"), N_("Show the checkpoints")),
    Key("watch", "C", "tab('configuration')", N_("Configuration"), N_("Show the configuration")),
    Key("watch", "v", "tab('events')", N_("Events"), N_("Show what happened on the way")),
    Key("watch", "comma", "sample('earlier')", N_("Earlier"), N_("The sample before"), display=","),
    Key("watch", "full_stop", "sample('later')", N_("Later"), N_("The next sample"), display="."),
    Key(
        "watch",
        "slash",
        "filter_log",
        N_("Filter"),
        N_("Show only lines of the log that have a text"),
    ),
    Key("watch", "w", "wrap_log", N_("Wrap"), N_("Wrap long lines of the log, or not")),
    Key("watch", "g,o", "generate", N_("Generate"), N_("Write with this run"), True, display="g"),
    Key(
        "watch",
        "m",
        "note",
        N_("Note"),
        N_("Note something at the crosshair, or at the last step"),
        writes=True,
    ),
    Key(
        "watch",
        "e",
        "export",
        N_("Export"),
        N_("Write the curves as CSV, JSON lines or SVG"),
        writes=True,
    ),
    Key(
        "watch", "X", "stop", N_("Stop"), N_("Stop the training; again: kill it"), True, writes=True
    ),
    Key("watch", "r", "resume", N_("Resume"), N_("Go on with this run"), writes=True),
    # Generate
    Key(
        "generate",
        "ctrl+g,ctrl+j",
        "generate",
        N_("Generate"),
        N_("Continue the prompt"),
        True,
        "^g",
    ),
    Key(
        "generate",
        "escape",
        "stop",
        N_("Stop"),
        N_("Stop writing; else leave the prompt"),
        True,
        "esc",
    ),
    Key("generate", "ctrl+r", "again", N_("Again"), N_("Same prompt, new seed")),
    Key(
        "generate",
        "ctrl+n",
        "reset",
        N_("New"),
        N_("Begin a new conversation, or an empty prompt"),
    ),
    Key("generate", "ctrl+l", "extend", N_("Go on"), N_("Take the text into the prompt"), True),
    Key("generate", "ctrl+t", "edit", N_("Prompt"), N_("Back to the prompt")),
    Key("generate", "y", "copy", N_("Copy"), N_("Copy the text that was written"), True),
    Key(
        "generate",
        "ctrl+up",
        "recall(-1)",
        N_("Earlier"),
        N_("The generation before"),
        display="^↑",
    ),
    Key("generate", "ctrl+down", "recall(1)", N_("Later"), N_("The next generation"), display="^↓"),
    Key(
        "generate", "alt+up", "walk('up')", N_("Parent"), N_("The text that this one branched from")
    ),
    Key("generate", "alt+down", "walk('down')", N_("Branch"), N_("The first branch of this text")),
    Key("generate", "alt+left", "walk('before')", N_("Sibling"), N_("The branch before this one")),
    Key("generate", "alt+right", "walk('after')", N_("Sibling"), N_("The branch after this one")),
    Key(
        "generate",
        "v,alt+v",
        "next_view",
        N_("View"),
        N_("Output as text, as tokens, as surprise"),
        True,
    ),
    Key(
        "generate", "A,alt+a", "compare", N_("Compare"), N_("Two models side by side, or one again")
    ),
    Key(
        "generate", "O,alt+o", "more_options", N_("Options"), N_("All sampling options, or the few")
    ),
    Key("generate", "alt+g", "preset('greedy')", N_("Greedy"), N_("Always the likeliest token")),
    Key(
        "generate",
        "alt+b",
        "preset('balanced')",
        N_("Balanced"),
        N_("Likely tokens, with some variety"),
    ),
    Key("generate", "alt+w", "preset('wild')", N_("Wild"), N_("Unlikely tokens too")),
    Key("generate", "alt+r", "reuse", N_("Reuse"), N_("The options of this text into the form")),
    Key(
        "generate", "ctrl+s", "save", N_("Save"), N_("Save the text to the run's generations.jsonl")
    ),
    Key("generate", "f3", "pager", N_("Pager"), N_("Read the text in $PAGER")),
    Key("generate", "f4", "editor", N_("Editor"), N_("Write the prompt in $EDITOR")),
    Key("generate", "alt+l", "look", N_("Attention"), N_("What the model looks at in this text")),
    # Attention
    Key("attention", "ctrl+g,ctrl+j", "read", N_("Read"), N_("Read the text"), True, "^g"),
    Key("attention", "right,l", "token(1)", N_("Token"), N_("The next token"), True, "←→"),
    Key("attention", "left,h", "token(-1)", N_("Token"), N_("The token before"), display="←"),
    Key("attention", "down,j", "layer(1)", N_("Layer"), N_("The next layer"), True, "↑↓"),
    Key("attention", "up,k", "layer(-1)", N_("Layer"), N_("The layer before"), display="↑"),
    Key(
        "attention", "right_square_bracket", "head(1)", N_("Head"), N_("The next head"), True, "[]"
    ),
    Key(
        "attention",
        "left_square_bracket",
        "head(-1)",
        N_("Head"),
        N_("The head before"),
        display="[",
    ),
    Key("attention", "m", "mean", N_("Mean"), N_("The mean of all layers and heads")),
    Key(
        "attention",
        "r",
        "rollout",
        N_("Rollout"),
        N_("Attention rolled out through the layers"),
        True,
    ),
    Key(
        "attention",
        "a",
        "ablation",
        N_("Ablation"),
        N_("Without each word in turn, or the map"),
        True,
    ),
    Key("attention", "y", "copy", N_("Copy"), N_("Copy the words that the token draws on")),
    Key("attention", "ctrl+t", "edit", N_("Text"), N_("Back to the text")),
    # Data
    Key("data", "w", "window", N_("Window"), N_("Another random place of the corpus"), True),
    Key("data", "v", "split", N_("Split"), N_("Training or validation"), True),
    Key("data", "ctrl+t", "edit", N_("Text"), N_("To the text that the tokenizers cut"), True),
    Key("data", "y", "copy", N_("Copy"), N_("Copy the window's text"), True),
    Key("data", "Y", "copy_path", N_("Copy path"), N_("Copy the path of this corpus")),
    # System
    Key("system", "y", "copy", N_("Copy"), N_("Copy the report"), True),
    # The tokens of a text
    Key("tokens", "right,l", "move(1)", N_("Next"), N_("The next token"), display="→"),
    Key("tokens", "left,h", "move(-1)", N_("Previous"), N_("The token before"), display="←"),
    Key("tokens", "down,j", "line(1)", N_("Down"), N_("The token below"), display="↓"),
    Key("tokens", "up,k", "line(-1)", N_("Up"), N_("The token above"), display="↑"),
    Key("tokens", "home,g", "edge(0)", N_("First"), N_("The first token")),
    Key("tokens", "end,G", "edge(-1)", N_("Last"), N_("The last token")),
    Key(
        "tokens",
        "enter",
        "choose",
        N_("Alternatives"),
        N_("What else could stand here"),
        display="↵",
    ),
    # An error
    Key("error", "y", "copy", N_("Copy"), N_("Copy it")),
    Key("error", "escape,q,enter,E", "dismiss", N_("Close"), N_("Close"), display="esc"),
    # Dialogs
    Key(
        "dialog",
        "escape",
        "cancel",
        N_("Cancel"),
        N_("Close this, and change nothing"),
        True,
        "esc",
    ),
    Key("confirm", "y", "yes", N_("Yes"), N_("Yes"), True),
    Key("confirm", "n", "cancel", N_("No"), N_("No"), True),
    Key("form", "ctrl+g,ctrl+j", "begin", N_("Begin"), N_("Begin"), True, "^g"),
    Key("form", "ctrl+y", "copy", N_("Copy"), N_("Copy the command line"), True, "^y"),
    Key("exporting", "ctrl+x", "stop", N_("Stop"), N_("Stop the export"), True, "^x"),
    Key(
        "settings", "ctrl+g,ctrl+j,ctrl+s", "save", N_("Save"), N_("Save the settings"), True, "^g"
    ),
    Key("jump", "escape,ctrl+o", "cancel", N_("Stay"), N_("Stay here"), display="esc"),
    # Help
    Key(
        "help",
        "escape,question_mark,f1,q,enter",
        "dismiss",
        N_("Close"),
        N_("Close"),
        display="esc",
    ),
)


def keys_of(place: Place) -> tuple[Key, ...]:
    """The keys of a place, in the order of the table."""
    return tuple(key for key in KEYS if key.place == place)


def writing_actions(place: Place) -> frozenset[str]:
    """Names of the actions of a place that start, stop or change something."""
    return frozenset(key.action.partition("(")[0] for key in keys_of(place) if key.writes)


GLOSSARY: tuple[tuple[str, str], ...] = (
    (
        N_("loss"),
        N_(
            "nats a token: how surprised the model is by the next token; ln(vocabulary) knows nothing"
        ),
    ),
    (
        N_("validation"),
        N_("the loss on text that training never sees; the best checkpoint is its lowest point"),
    ),
    (N_("bits per byte"), N_("the same, per byte of text: comparable between tokenizers")),
    (
        N_("gradient norm"),
        N_("length of the update's direction before clipping; spikes are trouble"),
    ),
    (N_("temperature"), N_("0 takes the likeliest token; higher is bolder")),
    (
        N_("surprise"),
        N_("bits: 0 for what the model held certain, 1 for a coin's toss, 10 for one in 1,024"),
    ),
    (
        N_("attention"),
        N_("how much a token takes from each before it; where it looks, not what it uses"),
    ),
    (N_("rollout"), N_("the layers' attention multiplied: what is left of each word in the end")),
    (N_("ablation"), N_("what a word does: the next token's probability without it")),
    (
        N_("top-k, top-p"),
        N_("choose among the k likeliest tokens; among the likeliest that sum up to p"),
    ),
)
"""Terms that the help explains."""
