"""PyTorch's files without PyTorch: what is read, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from foreign_models import number, pickled, text, write_torch_file
from hypothesis import given
from hypothesis import strategies as st

from kgpt.errors import KgptError
from kgpt.interop.torch_files import read_torch_file

TENSORS = {
    "a": np.arange(12, dtype="float32").reshape(3, 4),
    "b": np.array([1.5, -2.0], "float16"),
    "scalar": np.array(3.0, "float32"),
}


def archive(path: Path, program: bytes, *members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", program)
        for key, content in enumerate(members):
            file.writestr(f"archive/data/{key}", content)
    return path


def test_tensors_come_out_as_they_went_in(tmp_path: Path) -> None:
    write_torch_file(tmp_path / "m.bin", TENSORS)
    found = read_torch_file(tmp_path / "m.bin")
    assert list(found) == list(TENSORS)
    for name, value in TENSORS.items():
        assert found[name].shape == value.shape
        np.testing.assert_array_equal(found[name].read(), value.astype("float32"))


def test_a_transposed_tensor_is_read_by_its_strides(tmp_path: Path) -> None:
    stored = np.arange(12, dtype="float32")
    program = pickled({"a": stored.reshape(4, 3)}, strides={"a": (1, 4)})
    path = archive(tmp_path / "m.bin", program, stored.tobytes())
    np.testing.assert_array_equal(read_torch_file(path)["a"].read(), stored.reshape(3, 4).T)


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("is_archive", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_does_not_run(
    tmp_path: Path, is_archive: bool
) -> None:
    target = tmp_path / "run"
    program = pickle.dumps({"a": Evil(target)}, protocol=2)
    path = archive(tmp_path / "m.bin", program) if is_archive else tmp_path / "m.bin"
    if not is_archive:
        path.write_bytes(program)
    with pytest.raises(KgptError) as caught:
        read_torch_file(path)
    assert caught.value.title == "Refused to run a pickle"
    assert f"{os.mkdir.__module__}.mkdir" in caught.value.message
    assert not target.exists()


@pytest.mark.parametrize(
    "name", ["os\nsystem", "builtins\neval", "torch\nload", "collections\nCounter"]
)
def test_other_names_are_refused_by_name(tmp_path: Path, name: str) -> None:
    program = b"\x80\x02c" + name.encode() + b"\n" + text("x") + b"\x85R."
    with pytest.raises(KgptError, match=name.replace("\n", r"\.")):
        read_torch_file(archive(tmp_path / "m.bin", program))


def test_a_tensor_outside_of_its_storage(tmp_path: Path) -> None:
    program = pickled({"a": np.zeros((2, 2), "float32")}, strides={"a": (100, 1)})
    with pytest.raises(KgptError, match="outside of its storage"):
        read_torch_file(archive(tmp_path / "m.bin", program, bytes(16)))


def test_a_cut_storage(tmp_path: Path) -> None:
    program = pickled({"a": np.zeros((2, 2), "float32")})
    path = archive(tmp_path / "m.bin", program, bytes(15))
    with pytest.raises(KgptError, match="cut"):
        read_torch_file(path)["a"].read()


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04"]
)
def test_what_is_no_such_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(KgptError, match="cannot be read"):
        read_torch_file(tmp_path / "m.bin")


def test_a_pickle_without_tensors(tmp_path: Path) -> None:
    path = archive(tmp_path / "m.bin", b"\x80\x02" + number(3) + b".")
    with pytest.raises(KgptError, match="no dictionary"):
        read_torch_file(path)


@given(
    place=st.integers(0, 10_000),
    junk=st.binary(min_size=1, max_size=6),
)
def test_damaged_pickles_never_do_anything_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, junk: bytes
) -> None:
    program = pickled(TENSORS)
    place %= len(program)
    damaged = program[:place] + junk + program[place + len(junk) :]
    path = archive(
        tmp_path_factory.mktemp("fuzz") / "m.bin", damaged, *(v.tobytes() for v in TENSORS.values())
    )
    try:
        for tensor in read_torch_file(path).values():
            tensor.read()
    except KgptError:
        pass


def test_cut_archives(tmp_path: Path) -> None:
    whole = io.BytesIO()
    write_torch_file(whole, TENSORS)  # type: ignore[arg-type]
    for end in range(0, len(whole.getvalue()), 97):
        (tmp_path / "m.bin").write_bytes(whole.getvalue()[:end])
        with pytest.raises(KgptError):
            read_torch_file(tmp_path / "m.bin")
