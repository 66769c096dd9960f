"""Models by their id: a server on this machine answers as the Hugging Face Hub does, and huggingface_hub asks it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from foreign_models import gpt2_tensors, tokenizer, write_gpt2
from safetensors.numpy import load_file

from kgpt.interop.hub import is_hub_id

COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = "someone/gpt2-small"


class Hub(BaseHTTPRequestHandler):
    """The three kinds of answers that a download takes: what there is, what a file is, and the file."""

    def __init__(self, folder: Path, served: list[str], *rest) -> None:
        self.folder, self.served = folder, served
        super().__init__(*rest)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def _answer(self, with_content: bool) -> None:
        path = self.path.partition("?")[0]
        names = sorted(item.name for item in self.folder.iterdir())
        file = self.folder / path.rpartition("/")[2]
        if path.startswith(f"/api/models/{MODEL}/tree/"):
            tree = [
                {"type": "file", "path": name, "oid": "0" * 40, "size": (self.folder / name).stat().st_size}
                for name in names
            ]  # fmt: skip
            self._send(200, json.dumps(tree).encode(), with_content)
        elif path.startswith(f"/api/models/{MODEL}"):
            about = {"id": MODEL, "sha": COMMIT, "siblings": [{"rfilename": n} for n in names]}
            self._send(200, json.dumps(about).encode(), with_content)
        elif path.startswith(f"/{MODEL}/resolve/") and file.is_file():
            if with_content:
                self.served.append(file.name)
            self._send(200, file.read_bytes(), with_content)
        else:
            self._send(404, b"{}", with_content, {"X-Error-Code": "RepoNotFound"})

    def _send(self, code: int, content: bytes, with_content: bool, more=()) -> None:
        self.send_response(code)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            **dict(more),
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """Settings that make this machine the Hub, and the names of the files that were fetched from it."""
    source = write_gpt2(tmp_path / "source", gpt2_tensors(tokenizer().vocabulary_size))
    for name in ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md"):
        (source / name).write_bytes(b"not wanted")
    served: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, source, served))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    settings = {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    try:
        yield settings, served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def import_it(folder: Path, source: str, name: str, settings: dict[str, str]):
    command = [sys.executable, "-m", "kgpt", "import", source, "--run", name]
    command += ["--saved-models", str(folder / "runs")]
    environment = {**os.environ, **settings}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def test_a_model_is_fetched_once_without_what_nobody_needs(
    hub: tuple[dict[str, str], list[str]], tmp_path: Path
) -> None:
    settings, served = hub
    done = import_it(tmp_path, MODEL, "one", settings)
    assert done.returncode == 0, done.stderr
    wanted = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
    assert sorted(served) == wanted
    run = tmp_path / "runs" / "one"
    assert json.loads((run / "run.json").read_text())["source"]["path"] == MODEL
    stored = load_file(run / "checkpoints" / "step-00000000" / "weights.safetensors")
    expected = gpt2_tensors(tokenizer().vocabulary_size)["wte.weight"]
    np.testing.assert_array_equal(stored["gpt/token_embedding/embeddings"], expected)
    assert import_it(tmp_path, MODEL, "two", settings).returncode == 0
    offline = {**settings, "HF_HUB_OFFLINE": "1"}
    assert import_it(tmp_path, MODEL, "three", offline).returncode == 0
    assert sorted(served) == wanted


def test_a_model_that_is_not_there(hub: tuple[dict[str, str], list[str]], tmp_path: Path) -> None:
    settings, _ = hub
    done = import_it(tmp_path, "someone/else", "one", settings)
    assert done.returncode == 2
    assert "Unknown model" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_hub_that_is_not_there(tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path / "cache")}
    done = import_it(tmp_path, MODEL, "one", settings)
    assert done.returncode == 1
    assert "Cannot download the model" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_folder_wins_over_an_id(hub: tuple[dict[str, str], list[str]], tmp_path: Path) -> None:
    settings, served = hub
    (tmp_path / "someone").mkdir()
    (tmp_path / "source").rename(tmp_path / MODEL)
    (tmp_path / MODEL / "pytorch_model.bin").unlink()
    assert import_it(tmp_path, MODEL, "one", settings).returncode == 0
    assert served == []


def test_what_could_be_an_id() -> None:
    assert all(map(is_hub_id, ["gpt2", "distilgpt2", "microsoft/DialoGPT-small", "a/b.c_d"]))
    assert not any(map(is_hub_id, ["a/b/c", "./gpt2", "/gpt2", "-x", "a b", "", "../x", "a/"]))
