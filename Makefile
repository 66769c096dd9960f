# Needs Python 3.11-3.13 and make; builds its own environment in .venv.
#   make demo    install, train the demo model, let it write       make test    all tests
#   make check   lint, types, import contracts                     make bench   compare with peers
#   make learn   the lessons of notebooks/ in Jupyter
#   make texts   the catalog of translations, brought up to date with the code
#   make test-peers   the same numbers as transformers and PyTorch (installs both)

PYTHON ?= $(shell for v in 3.12 3.13 3.11; do command -v python$$v >/dev/null 2>&1 && python$$v -c '' 2>/dev/null && echo python$$v && exit; done; echo python3)
VENV := .venv
BIN := $(VENV)/bin
LEARN := $(VENV)/learn/bin
RUNS := $(or $(KGPT_SAVED_MODELS),saved_models)

CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "kgpt needs Python 3.11, 3.12 or 3.13. Name one: make PYTHON=python3.12 ..."; exit 2; }

.PHONY: demo learn test test-peers test-long check bench pictures texts lock clean

$(VENV)/.core: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

# The lessons have an environment of their own: Jupyter's many packages stay out of the others.
$(VENV)/learn/.ready: pyproject.toml constraints.txt
	@$(CHECK_PYTHON)
	@test -x $(LEARN)/python || $(PYTHON) -m venv $(VENV)/learn
	$(LEARN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[learn]'
	@touch $@

learn: $(VENV)/learn/.ready
	@echo 'Each lesson opens with a double click, in pt or in en; Ctrl-C here ends Jupyter.'
	$(LEARN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks

demo: $(VENV)/.core
	@$(BIN)/kgpt prepare encyclopedia
	@if [ -f $(RUNS)/demo/run.json ]; then $(BIN)/kgpt-train --run demo --resume; else $(BIN)/kgpt-train --run demo; fi
	@echo
	@$(BIN)/kgpt sample demo "Marte é um planeta" --max-tokens 40 --seed 1
	@echo
	@$(BIN)/kgpt evaluate demo --task encyclopedia --checkpoint last
	@$(BIN)/kgpt export demo --format saved-model --output $(RUNS)/demo-saved-model --overwrite
	@echo
	@echo 'Try next (after: source $(VENV)/bin/activate)'
	@echo '  kgpt sample demo "A capital da França é" --temperature 0'
	@echo '  kgpt-workbench                                    watch runs, write with them'
	@echo '  kgpt prepare your.txt --output mine --vocab-size 4096 && kgpt-train --data mine --run mine --minutes 10'

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

test-peers: $(VENV)/.bench
	$(BIN)/python -m pytest -q -m peer tests/peers

test-long: $(VENV)/.bench
	HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -q -m "long or hypothesis"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

pictures: $(VENV)/.dev
	$(BIN)/python -m tests.workbench.make_pictures

CATALOG := kgpt/locale/pt_BR/LC_MESSAGES/kgpt

texts: $(VENV)/.dev
	@mkdir -p build
	$(BIN)/python -m babel.messages.frontend -q extract --mapping tests/extract_texts.cfg --keyword N_ --add-location file --sort-by-file --width 100 --output build/kgpt.pot kgpt workbench
	$(BIN)/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 100 --input-file build/kgpt.pot --output-file $(CATALOG).po --locale pt_BR
	$(BIN)/pybabel -q compile --input-file $(CATALOG).po --output-file $(CATALOG).mo --locale pt_BR

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate pyproject.toml -o constraints.txt --upgrade

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
