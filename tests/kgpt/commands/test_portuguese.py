"""What the commands say in Portuguese, each in a process of its own: help, mistakes, reports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kgpt.commands import COMMANDS

ENGLISH = set(
    "and an are at be been before below by can cannot does each first from given has have how if in into is it its left"
    " may more most must new not of on only or other out over received same such than that the their then there these"
    " they this to was were what when where which with without write you your show default exit help options"
    " arguments usage error expected unknown folder files text texts training reading planning server limits"
    " figures".split()
)
"""Words that no sentence of the Portuguese texts has, among them the headings that were English once."""
NAMES = re.compile(
    r"`[^`]*`|\"[^\"]*\"|'[^']*'|--[\w-]+(?: [A-Z|=.,\w-]+)?|\$\w+|[\w./-]*[/._|{}=][\w./|{}=-]*|\b[A-Z][A-Z_|]+\b"
    r"|\bhf:\S+|\bkgpt(?:-\w+)? .*"
)
"""What is typed as it stands: options, paths, examples, quoted texts."""


def say(*arguments: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of `kgpt ARGUMENTS` for a user from Brazil."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "KGPT"))
    }
    kept.pop("LANGUAGE", None)
    done = subprocess.run(
        [sys.executable, "-m", "kgpt", *arguments],
        env={**kept, "LANG": "pt_BR.UTF-8", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.returncode, done.stdout + done.stderr


def english_in(output: str) -> list[str]:
    """Words of English that are no names."""
    words = re.findall(r"[a-zà-ú]+", NAMES.sub(" ", output).lower())
    return [word for word in words if word in ENGLISH]


def test_english_is_found() -> None:
    assert english_in("  --seed N   of all draws (default: 1)") == ["of", "default"]
    assert english_in("reading:\n  kgpt runs --json  list the runs") == ["reading"]
    assert english_in("  --seed N   de todos os sorteios (padrão: 1); no fim, as de a") == []


def test_help(tmp_path: Path) -> None:
    code, output = say("--help", folder=tmp_path)
    assert code == 0 and output.startswith("uso: kgpt")
    assert "prepare   transforma texto" in output and "opções:" in output
    assert not english_in(re.sub(rf"^    (?:{'|'.join(COMMANDS)}) ", "", output, flags=re.M))


@pytest.mark.parametrize("command", [*COMMANDS, "finetune classify", "finetune instruct"])
def test_help_of_commands(command: str, tmp_path: Path) -> None:
    code, output = say(*command.split(), "--help", folder=tmp_path)
    described, _, _examples = output.partition("\nexemplos:")
    assert code == 0 and "mostra esta ajuda e sai" in described
    assert not english_in(described)


MISTAKES = {
    "nada": "Comando desconhecido",
    "--nada": "argumentos desconhecidos: --nada",
    "sample": "faltam os argumentos: RUN",
    "sample nada oi": "Treino desconhecido",
    "train --preset nada": "Preset desconhecido",
    "train --steps -3": "steps deve ser ao menos 1",
    "train --set model.widht=3": "Quis dizer model.width?",
    "export nada --format onx --output x": "escolha inválida: 'onx'",
    "prepare nada.txt": "Fonte não encontrada",
    "prepare row.jsonl --output x": "não está claro qual campo contém o texto; há: a.",
    "prepare sheet.xlsx": "Salve a planilha como .csv",
    "prepare text.txt --clean min-length=a": "um número inteiro de 1 a",
    "prepare text.txt --tokenizer nada": "não há nada",
    "tokenize nada oi": "Tokenizador não encontrado",
    "plan --memory muita": "Quantidade de memória inválida",
    "plan --device x100": "Quis dizer h100?",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_mistakes(line: str, tmp_path: Path) -> None:
    (tmp_path / "row.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "sheet.xlsx").write_text("x")
    (tmp_path / "text.txt").write_text("um texto\n")
    code, output = say(*line.split(), folder=tmp_path)
    assert code == 2 and MISTAKES[line].lower() in output.lower()
    assert not english_in(output), output


def test_the_reports_of_preparing_and_planning(tmp_path: Path) -> None:
    prepare = ("prepare", "livro.txt", "--tokenizer", "bytes", "--documents", "blank-line")
    (tmp_path / "livro.txt").write_text("\n\n".join(f"Era uma vez {n} gatos." for n in range(4000)))
    code, output = say(*prepare, "--output", "gatos", "--clean", "nfc", folder=tmp_path)
    assert code == 0 and re.search(r"^documentos +4\.000$", output, re.M)
    assert re.search(r"^treinamento +3\.8\d\d +[\d.]+ +[\d.]+ +95,\d%$", output, re.M)
    assert not english_in(output), output
    code, output = say("plan", "--data", "gatos", "--preset", "char-cpu", folder=tmp_path)
    assert code == 0 and "durante o treinamento" in output
    assert not english_in(output), output


def test_cleaning_steps(tmp_path: Path) -> None:
    code, output = say("prepare", "--clean", "list", folder=tmp_path)
    assert code == 0 and "compõe caracteres" in output
    assert not english_in(output), output
