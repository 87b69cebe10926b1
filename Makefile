# Needs Python >= 3.11 and nothing else; everything lands in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo install components test floors check format loader bench big load faults soak clean

help:
	@echo "make demo     the example shop at http://127.0.0.1:8080, built from public data"
	@echo "make test     all tests        make check    ruff, format, mypy --strict"
	@echo "make bench    the budgets      make install  .venv with all that tests and benches need"
	@echo "make mutate   do the tests notice faults in the decision core? (ten minutes and more)"
	@echo "make floors   what the tests just run covered: no file below 95 %"
	@echo "make big      ten million members and ten thousand rules, by hand"
	@echo "make load     a node at 60 % of what it can do and at twice as much, by hand"
	@echo "make faults   one fault at a time, by hand     make soak   ten minutes of them"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV) ..."
	$(PIP) install --constraint constraints.txt --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what tests and benches need into $(VENV) ..."
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the benches compare with into $(VENV) ..."
	$(PIP) install --constraint constraints.txt --editable '.[bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/edgewise demo

install: $(VENV)/.dev

components: $(VENV)/.dev
	$(PIP) install --constraint constraints.txt --editable '.[components]'

# What waits for nobody goes two at a time. Nodes and browsers go one by one: times are part of what
# their tests see (tests/conftest.py says which those are; there are none in PURE).
PURE := tests/decisions tests/snapshots

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not alone" --cov --cov-report=
	$(BIN)/python -m pytest -m alone $(PURE:%=--ignore=%) --cov --cov-append --cov-report=term:skip-covered

# What the last `make test` covered, file by file; CI, where no test is skipped, holds it.
floors: $(VENV)/.dev
	$(BIN)/python -m tests.floors

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

loader: $(VENV)/.dev
	$(BIN)/python -m tests.edge.minify

bench: $(VENV)/.bench
	$(BIN)/python -m bench

# By hand: minutes each; they write docs/big.md, load.md, faults.md and soak.md. faults needs root, as it mounts.
big: $(VENV)/.bench
	$(BIN)/python -m bench.big

load: $(VENV)/.bench
	$(BIN)/python -m bench.load

faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults

soak: $(VENV)/.dev
	$(BIN)/python -m tests.faults.soak

mutate: $(VENV)/.dev
	$(BIN)/python -m tests.mutation

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
