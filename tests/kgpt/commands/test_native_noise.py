from __future__ import annotations

import subprocess
import sys

NOTES = [
    "2026-01-31 10:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.",
    "2026-01-31 10:00:00.123456: W external/local_xla/xla/tsl/framework/cpu_allocator.cc] slow",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1738317600.123456   12345 cuda_executor.cc:1015] notes",
    "E0000 00:00:1738317600.123456   12345 cuda_dnn.cc:8310] Unable to register",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.",
]
WORDS = ["Segmentation fault", "I am a line of my own", "2026 was a year", "no newline at the end"]


def stderr_of(code: str) -> list[str]:
    script = f"import os, sys\nfrom kgpt.commands.native_noise import filtered\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.stderr.splitlines()


def test_notes_are_dropped_and_everything_else_comes_through():
    lines = [line for pair in zip(NOTES, NOTES[::-1], strict=True) for line in pair] + WORDS
    text = "\n".join(lines)
    assert stderr_of(f"with filtered(): os.write(2, {text!r}.encode())") == WORDS


def test_python_is_not_filtered():
    code = f"with filtered(): print({NOTES[0]!r}, file=sys.stderr)\nprint('after', file=sys.stderr)"
    assert stderr_of(code) == [NOTES[0], "after"]


def test_afterwards_nothing_is_filtered_and_an_error_still_shows():
    code = f"""
try:
    with filtered(): raise ValueError
except ValueError:
    os.write(2, {NOTES[0]!r}.encode())"""
    assert stderr_of(code) == [NOTES[0]]


def test_children_are_filtered_and_do_not_hold_the_end_up():
    child = f"import os; os.write(2, {(NOTES[0] + chr(10) + 'said by a child')!r}.encode())"
    code = f"import subprocess\nwith filtered(): subprocess.run([sys.executable, '-c', {child!r}])"
    assert stderr_of(code) == ["said by a child"]


def test_a_stderr_that_goes_elsewhere_stays_there(capsys):
    from kgpt.commands.native_noise import filtered

    with filtered():
        print("captured", file=sys.stderr)
    assert capsys.readouterr().err == "captured\n"
