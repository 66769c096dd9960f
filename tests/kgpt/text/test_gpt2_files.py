"""The name `gpt2`, with small files in the place of GPT-2's: their sums are set, everything else is real."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from disk import full_disk

from kgpt.errors import KgptError, KgptFailure
from kgpt.text import gpt2_files
from kgpt.text.gpt2_files import SHA256, gpt2_tokenizer
from kgpt.text.tokenizer import Tokenizer, find_tokenizer

TEXT = "A casa fica na rua da praia, e o mar não está longe da casa."


@pytest.fixture(scope="module")
def small() -> Tokenizer:
    return Tokenizer.train([TEXT] * 4, 300)


@pytest.fixture
def origin(tmp_path: Path, small: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the two files; the data folder is `data`, and the working directory is empty."""
    folder = tmp_path / "origin"
    folder.mkdir()
    (folder / "encoder.json").write_text(json.dumps(small.vocabulary), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in small.merges)
    (folder / "vocab.bpe").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    for path in folder.iterdir():
        monkeypatch.setitem(SHA256, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setenv("KGPT_GPT2_URL", folder.as_uri())
    monkeypatch.setenv("KGPT_DATA", str(tmp_path / "data"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return folder


class Server:
    """An HTTP server on this machine that answers with what `answer` does to a file's content."""

    def __init__(self, folder: Path) -> None:
        self.requests: list[str] = []
        self.status = 200
        self.claimed = 0
        self.change = bytes
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                content = outer.change((folder / Path(self.path).name).read_bytes())
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(content) + outer.claimed))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/models"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(origin: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    started = Server(origin)
    monkeypatch.setenv("KGPT_GPT2_URL", started.url + "/")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield started
    started.close()


def data(origin: Path) -> Path:
    return origin.parent / "data" / "gpt2"


def test_it_is_downloaded_once(server: Server, origin: Path, small: Tokenizer, capsys) -> None:
    assert gpt2_tokenizer(download=False) is None
    assert server.requests == [] and not data(origin).exists()
    assert find_tokenizer("gpt2").sha256 == small.sha256
    assert sorted(server.requests) == ["/models/encoder.json", "/models/vocab.bpe"]
    assert f"Downloading GPT-2's vocab.bpe to {data(origin)}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in data(origin).iterdir()} == {
        path.name: path.read_bytes() for path in origin.iterdir()
    }
    assert find_tokenizer("gpt2").sha256 == small.sha256
    found = gpt2_tokenizer(download=False)
    assert found is not None and found.sha256 == small.sha256
    assert len(server.requests) == 2 and capsys.readouterr().err == ""


def test_the_second_file_alone_is_fetched(server: Server, origin: Path) -> None:
    data(origin).mkdir(parents=True)
    shutil.copy(origin / "encoder.json", data(origin))
    assert gpt2_tokenizer(download=False) is None
    assert gpt2_tokenizer(download=True) is not None
    assert server.requests == ["/models/vocab.bpe"]


def test_from_a_folder(origin: Path, small: Tokenizer) -> None:
    assert find_tokenizer("gpt2").sha256 == small.sha256


def check_failure(origin: Path, *words: str) -> None:
    """A clear failure, after which no file is there."""
    with pytest.raises(KgptFailure) as caught:
        find_tokenizer("gpt2")
    told = str(caught.value)
    assert all(word in told for word in words), told
    assert "put encoder.json and vocab.bpe of GPT-2 into" in told and str(data(origin)) in told
    assert "KGPT_GPT2_URL" in told
    assert not data(origin).exists() or not list(data(origin).iterdir())


def test_another_file(server: Server, origin: Path) -> None:
    server.change = lambda content: content + b" "
    check_failure(origin, "expected SHA-256 " + SHA256["encoder.json"], "received", server.url)


def test_a_missing_file(server: Server, origin: Path) -> None:
    server.status = 404
    check_failure(origin, "404", server.url + "/encoder.json")
    check_failure(origin, "404 Not Found")


def test_a_cut_transfer(server: Server, origin: Path) -> None:
    server.claimed = 1000
    size = (origin / "encoder.json").stat().st_size
    check_failure(origin, f"cut after {size:,} of {size + 1000:,} bytes")


def test_an_endless_file(server: Server, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2_files, "MOST_BYTES", 1000)
    check_failure(origin, "more than 1,000 bytes")


def test_a_slow_server(server: Server, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2_files, "TOTAL_SECONDS", 0.0)
    check_failure(origin, "longer than 0 seconds")


def test_a_silent_server(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpt2_files, "SOCKET_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("KGPT_GPT2_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        check_failure(origin, "timed out")


def test_no_network(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("KGPT_GPT2_URL", f"http://127.0.0.1:{port}")
    check_failure(origin, "refused")
    monkeypatch.setenv("KGPT_GPT2_URL", (origin / "nowhere").as_uri())
    check_failure(origin, "nowhere/encoder.json")


@pytest.mark.parametrize("address", ["no address", "//host/path", "gopher://host/path"])
def test_an_address_that_is_none(origin: Path, monkeypatch, address: str) -> None:
    monkeypatch.setenv("KGPT_GPT2_URL", address)
    with pytest.raises(KgptError) as caught:
        find_tokenizer("gpt2")
    assert address in str(caught.value)
    assert not data(origin).exists()


def test_a_damaged_file_is_told_and_kept(origin: Path) -> None:
    find_tokenizer("gpt2")
    damaged = data(origin) / "vocab.bpe"
    damaged.write_bytes(damaged.read_bytes()[:-5])
    before = damaged.read_bytes()
    assert gpt2_tokenizer(download=False) is None
    with pytest.raises(KgptError, match="damaged or of another model") as caught:
        find_tokenizer("gpt2")
    assert str(damaged) in str(caught.value) and "Move it away" in str(caught.value)
    assert damaged.read_bytes() == before
    damaged.unlink()
    assert find_tokenizer("gpt2")


def test_a_full_disk(origin: Path) -> None:
    with full_disk(1000), pytest.raises(KgptFailure):
        find_tokenizer("gpt2")
    assert list(data(origin).iterdir()) == []


@pytest.mark.parametrize("place", ["saved_models/gpt2", "data/gpt2", "here/gpt2"])
def test_a_tokenizer_of_that_name_wins(origin: Path, small: Tokenizer, place: str) -> None:
    folder = origin.parent / place
    folder.mkdir(parents=True)
    (folder / "notes.txt").touch()
    runs = origin.parent / "saved_models"
    assert find_tokenizer("gpt2", runs).sha256 == small.sha256  # a folder that holds none loses
    Tokenizer.bytes().save(folder / "tokenizer")
    assert find_tokenizer("gpt2", runs).vocabulary_size == 257
    found = gpt2_tokenizer(download=False)  # but what is compared with is GPT-2's own
    assert found is not None and found.sha256 == small.sha256


def test_the_data_folder_may_be_the_working_directory(origin: Path, monkeypatch) -> None:
    monkeypatch.setenv("KGPT_DATA", ".")
    assert find_tokenizer("gpt2")
    (Path("gpt2") / "vocab.bpe").unlink()
    assert find_tokenizer("gpt2"), "one of the files alone is no tokenizer of the user's"
