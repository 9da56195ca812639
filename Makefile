# `make` lists the targets. Each one builds .venv first if it is missing or older than what describes it.
PYTHON ?= python3
SEED ?= 0
WORKERS ?= 2

BIN := .venv/bin
STAMP := .venv/.stamp

.DEFAULT_GOAL := help
.PHONY: help setup lint test test-all test-machines mutants mnist bench-cpu bench-tables docs clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo "Variables: PYTHON=python3 (builds .venv), SEED=0 (make mnist, mutants), WORKERS=2 (processes)"

setup: $(STAMP) ## build .venv, once

lint: $(STAMP) ## ruff and mypy
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

test: $(STAMP) ## every test but the slow ones and those for a GPU
	$(BIN)/python -m pytest -n $(WORKERS)

test-all: $(STAMP) ## the slow tests too
	$(BIN)/python -m pytest -n $(WORKERS) -m "not gpu"

test-machines: $(STAMP) ## the tests that compute, as other processors and draws would have them, under an hour
	$(BIN)/python tests/machines.py --workers $(WORKERS)

# COUNT=5 for another sample, PACKAGES="ops nn" for some packages, SURVIVORS=1 for those again that no test noticed.
mutants: $(STAMP) ## break the code in places and see which tests notice, hours; a stopped run goes on
	$(BIN)/python benchmarks/mutants.py $(if $(SURVIVORS),--survivors) $(if $(COUNT),--count $(COUNT)) \
	  $(if $(PACKAGES),--packages $(PACKAGES)) --seed $(SEED) --workers $(WORKERS)

mnist: $(STAMP) ## train the original's network on MNIST
	$(BIN)/fasterkan train mnist --recipe mnist-cpu --seed $(SEED) --out runs/mnist-$(SEED) --overwrite

# ORIGINAL=folder adds the original, checked out from AthanasiosDelis/faster-kan, to the comparison.
bench-cpu: $(STAMP) ## measure again what README and docs report, about 8 minutes on two quiet cores
	$(BIN)/python benchmarks/mnist.py
	$(BIN)/python benchmarks/cpu_layer.py $(if $(ORIGINAL),--original $(ORIGINAL))
	$(BIN)/python benchmarks/cpu_layer.py $(if $(ORIGINAL),--original $(ORIGINAL)) --turn 1
	$(BIN)/python benchmarks/plain_swap.py
	$(BIN)/python benchmarks/memory.py $(if $(ORIGINAL),--original $(ORIGINAL))
	$(BIN)/python benchmarks/rswaf_forms.py
	$(BIN)/python benchmarks/initialisation.py
	$(BIN)/python benchmarks/chunk_size.py
	$(BIN)/python benchmarks/matmul_precision.py
	$(if $(ORIGINAL),$(BIN)/python benchmarks/volver_epoch.py --original $(ORIGINAL))
	$(BIN)/python benchmarks/predict_photographs.py runs/mnist-0

bench-tables: $(STAMP) ## write the tables of README and docs from benchmarks/results
	$(BIN)/python benchmarks/tables.py

docs: $(STAMP) ## build the documentation into site/
	$(BIN)/python -m mkdocs build --strict

clean: ## remove .venv, site and caches; keep runs
	rm -rf .venv site build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The stamp is written last, so .venv without it is half-built and starts again; with an older one it is brought up to date.
$(STAMP): pyproject.toml constraints.txt src/fasterkan/_version.py
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
	  echo "setup: no command '$(PYTHON)'. Needed: Python >= 3.10 with venv. Install it (Debian, Ubuntu: apt install" \
	    "python3 python3-venv; macOS: brew install python; else https://www.python.org/downloads) or name one:" \
	    "make PYTHON=/path/to/python3" >&2; exit 1; }
	@version=$$("$(PYTHON)" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || { \
	  echo "setup: '$(PYTHON)' does not run. Needed: Python >= 3.10 with venv; name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }; \
	"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "setup: '$(PYTHON)' is Python $$version, needed is 3.10 or newer. Install one (Debian, Ubuntu: apt install" \
	    "python3 python3-venv; macOS: brew install python; else https://www.python.org/downloads) or name one:" \
	    "make PYTHON=/path/to/python3.12" >&2; exit 1; }; \
	"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "setup: '$(PYTHON)' (Python $$version) lacks venv or ensurepip. Install them (Debian, Ubuntu: apt install" \
	    "python$${version%.*}-venv) or name another Python: make PYTHON=/path/to/python3" >&2; exit 1; }; \
	if [ -e $(STAMP) ] && $(BIN)/python -c '' 2>/dev/null; then \
	  echo "setup: bringing .venv up to date"; undo=:; \
	else \
	  echo "setup: building .venv with Python $$version (once; PyTorch is the big part)"; undo='rm -rf .venv'; \
	  rm -rf .venv; trap 'rm -rf .venv; exit 130' HUP INT TERM; \
	  "$(PYTHON)" -m venv .venv || { rm -rf .venv; \
	    echo "setup: '$(PYTHON) -m venv .venv' failed, see above; nothing was left behind" >&2; exit 1; }; \
	fi; \
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' || { $$undo; \
	  echo "setup: pip could not install the packages, see above. It needs a package index or local wheels" \
	    "(PIP_INDEX_URL, PIP_FIND_LINKS); then run make again" >&2; exit 1; }; \
	touch $(STAMP)
