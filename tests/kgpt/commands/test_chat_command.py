"""`kgpt chat`, as a user types."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import subprocess
import sys
import termios

import pytest
from tiny import write_chat

from kgpt.commands import main
from kgpt.inference.chat import load_chat
from kgpt.protocol import GenerateOptions
from kgpt.text.conversations import turns_of

QUICK = ("--max-tokens", "6", "--temperature", "0", "--decoder", "litert")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_chat(tmp_path_factory.mktemp("runs") / "chat")


@pytest.fixture
def kgpt_chat(run, capsys, monkeypatch):
    def call(*lines: str, options=QUICK, name="chat"):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
        code = main(["chat", name, *options, "--saved-models", str(run.path.parent)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def answer_to(run, *said, system="", **options):
    chat = load_chat(run, decoder="litert")
    messages = [{"role": "system", "content": system}] if system else []
    messages += [
        {"role": ("user", "assistant")[place % 2], "content": text}
        for place, text in enumerate(said)
    ]
    options = GenerateOptions(**{"max_tokens": 6, "temperature": 0, **options})
    return "".join(piece.text for piece in chat.answer(turns_of(messages), options))


def test_lines_are_turns_of_one_conversation(kgpt_chat, run):
    code, out, _ = kgpt_chat("Oi", "", "E?", options=(*QUICK, "--json"))
    first = answer_to(run, "Oi").strip()
    second = answer_to(run, "Oi", first, "E?").strip()
    result = json.loads(out)
    assert code == 0 and [turn["content"] for turn in result["messages"]] == [
        "Oi",
        first,
        "E?",
        second,
    ]
    assert result["answer"].strip() == second and result["tokens"] == 6
    code, out, _ = kgpt_chat("Oi")
    assert code == 0 and first in out and "(length)" in out


def test_reset_undo_again_and_quit(kgpt_chat, run):
    first = answer_to(run, "Oi").strip()
    for lines in (
        ("a", "/reset", "Oi"),
        ("a", "/undo", "Oi"),
        ("Oi", "/again"),
        ("Oi", "/quit", "x"),
    ):
        _, out, _ = kgpt_chat(*lines, options=(*QUICK, "--json"))
        turns = json.loads(out.splitlines()[-1])["messages"]
        assert [turn["content"] for turn in turns] == ["Oi", first], lines


def test_another_answer_has_another_seed(kgpt_chat, run):
    options = ("--max-tokens", "6", "--temperature", "1", "--seed", "4", "--json")
    _, out, _ = kgpt_chat("Oi", "/again", options=options)
    expected = answer_to(run, "Oi", temperature=1.0, seed=5)
    assert json.loads(out.splitlines()[-1])["answer"] == expected


def test_options_can_be_set_on_the_way(kgpt_chat, run):
    lines = ("/set max_tokens 3", "/set temperature=1", "/set seed 9", "/set stop .", "Oi")
    _, out, _ = kgpt_chat(*lines, options=(*QUICK, "--json"))
    result = json.loads(out.splitlines()[-1])
    assert result["answer"] == answer_to(
        run, "Oi", max_tokens=3, temperature=1.0, seed=9, stop=(".",)
    )
    assert "max_tokens=3" in out and "temperature=1.0" in out


def test_the_system_is_told_first(kgpt_chat, run):
    expected = answer_to(run, "Oi", system="breve")
    for lines, more in ((("Oi",), ("--system", "breve")), (("x", "/system breve", "Oi"), ())):
        _, out, _ = kgpt_chat(*lines, options=(*QUICK, *more, "--json"))
        result = json.loads(out.splitlines()[-1])
        assert result["answer"] == expected and result["messages"][0]["role"] == "system"


def test_a_conversation_is_saved(kgpt_chat, tmp_path):
    texts, values = tmp_path / "c.txt", tmp_path / "c.json"
    _, out, _ = kgpt_chat("Oi", f"/save {texts}", f"/save {values}")
    turns = json.loads(values.read_text("utf-8"))["messages"]
    assert [turn["role"] for turn in turns] == ["user", "assistant"]
    assert texts.read_text("utf-8").startswith("user: Oi\n\nassistant: ")
    assert f"2 turns in {texts}" in out
    assert "/set" in kgpt_chat("/help")[1]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/set temperature hot", "temperature must be"),
        ("/set colour red", "no option 'colour'"),
        ("/dance", "There is no /dance"),
        ("/undo", "no question to take back"),
        ("/save", "Expected a file"),
        ("x" * 300, "Prompt does not fit"),
    ],
)
def test_mistakes_in_a_script_end_it_with_a_message(kgpt_chat, line, says):
    code, _, err = kgpt_chat(line)
    assert code == 2 and says in err and "Traceback" not in err


def test_at_a_terminal_mistakes_are_told_and_the_conversation_goes_on(kgpt_chat, monkeypatch, run):
    from kgpt.commands import chat

    lines = iter(["/dance", "Oi"])
    monkeypatch.setattr(chat, "_lines", lambda: lines)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code = main(["chat", "chat", *QUICK, "--saved-models", str(run.path.parent)])
    assert code == 0


def test_a_run_that_was_never_tuned_is_refused(kgpt_chat, run):
    from kgpt.files import write_json

    values = run.read()
    other = run.path.parent / "plain"
    other.mkdir()
    del values["template"]
    write_json(other / "run.json", values)
    code, _, err = kgpt_chat("Oi", name="plain")
    assert (
        code == 2 and "never fine-tuned to answer" in err and "kgpt finetune instruct plain" in err
    )


def test_in_a_terminal_ctrl_c_drops_a_line_and_ctrl_d_ends(run):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kgpt", "chat", str(run.path), *QUICK]
    child = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)

    def read_until(text: bytes) -> bytes:
        found = b""
        while not found.endswith(text):
            found += os.read(ours, 1)
        return found

    try:
        assert b"/help shows the commands" in read_until(b"> ")
        os.write(ours, b"Oi\n")
        assert answer_to(run, "Oi").strip().encode() in read_until(b"> ").replace(b"\r\n", b"\n")
        os.write(ours, b"half a li\x03")
        assert b"(Ctrl-D ends)" in read_until(b"> ")
        os.write(ours, b"\x04")
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
        child.wait()
        os.close(ours)
