# phasekit: `make help` lists what there is to do. Needs Python 3.11 to 3.13 with pip and venv, and make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.docs-installed
# Where pip finds torch. Empty: pip's own settings. Set it to PyTorch's index of CPU wheels (see pytorch.org, "Get started")
# to save gigabytes on a machine without a GPU:  make demo TORCH_INDEX=<that index>
TORCH_INDEX ?=
TORCH_PIN := $(shell grep '^torch==' constraints/pins.in)
# The first of these that is 3.11, 3.12 or 3.13.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3,$(shell $(p) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $(p))))
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
WORKERS ?= 2
PYTHONS ?= 3.11 3.12 3.13
# Pins of all versions; empty: those of this Python's minor.
PINS ?=
CONSTRAINTS = $(if $(PINS),$(PINS),$$($(BIN)/python -c 'import sys; print("constraints/py%d%d.txt" % sys.version_info[:2])'))
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest
RUN := $(BIN)/phasekit
LINTER := $(if $(filter /%,$(VENV)),,../)$(BIN)

.PHONY: help demo docs demo-machines test test-fast test-long test-machines test-oldest test-pythons test-wheel lint lab samples bench-acom bench-explorers bench-nmf bench-stxm screenshots environment constraints clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## the notebooks on the bundled samples -> runs/index.html
	$(RUN) demo --out runs

# A file of tests stays on one worker, so that a notebook it looks at is executed once.
test: lint  ## linters, then all tests (SLOW=0 leaves the slow ones out)
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not long$(if $(filter 0,$(SLOW)), and not slow)"

test-long: $(STAMP)  ## what takes many minutes: fifty kills of a batch, measured coverage, new random examples for the properties (25 minutes)
	$(PYTEST) -q -n 0 -m long
	$(PYTEST) -q -n $(WORKERS) -m hypothesis --hypothesis-profile=search

test-machines: $(STAMP)  ## the fast tests again under emulated processors, thread counts and locales (QUICK=1: a part)
	$(BIN)/python -m tests.machines --workers $(WORKERS) $(if $(QUICK),--quick) $(MACHINES)

demo-machines: $(STAMP)  ## the demo on emulated processors: headline numbers and maps side by side (15 minutes)
	$(BIN)/python -m tests.machines_demo $(MACHINES)

test-wheel: $(STAMP)  ## the built wheel in an empty environment, outside the checkout, runs the demo (a few minutes)
	PHASEKIT_TEST_WHEEL=1 $(PYTEST) -q tests/test_wheel.py tests/test_install.py

# Pythons that are not here are named and skipped. torch of the pinned version, so see TORCH_INDEX above.
test-pythons:  ## install and fast tests with each of PYTHONS (3.11 3.12 3.13), each in its own environment
	@ran=0; for version in $(PYTHONS); do \
	  if ! python$$version -c "" 2>/dev/null; then echo "== python$$version is not here"; continue; fi; \
	  echo "== python$$version"; ran=1; \
	  $(MAKE) --no-print-directory test-fast VENV=.venvs/py$$version PYTHON=python$$version || exit 1; \
	done; test $$ran = 1

test-oldest:  ## the lowest versions that pyproject.toml allows, fast tests
	$(MAKE) --no-print-directory test-fast VENV=.venvs/oldest PINS=constraints/oldest.txt

test-fast: $(STAMP)
	$(PYTEST) -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow and not long and not browser and not network"

# The linters read a copy of what git tracks: results, notebooks being tried and other environments are not their business.
lint: $(STAMP)  ## ruff, mypy --strict, import-linter, nbstripout, codespell on what git tracks
	@$(BIN)/python -m tests.tree .lint
	cd .lint && $(LINTER)/ruff check --no-respect-gitignore --cache-dir ../.ruff_cache .
	cd .lint && $(LINTER)/ruff format --no-respect-gitignore --cache-dir ../.ruff_cache --check .
	cd .lint && $(LINTER)/mypy --cache-dir ../.mypy_cache
	cd .lint && $(LINTER)/lint-imports --no-cache
	cd .lint && $(LINTER)/nbstripout --verify --extra-keys "metadata.kernelspec metadata.language_info" notebooks/*.ipynb
	cd .lint && $(LINTER)/codespell
	@rm -rf .lint

lab: $(STAMP)  ## JupyterLab on notebooks/00_start_here.ipynb
	$(BIN)/jupyter lab notebooks/00_start_here.ipynb

samples: $(STAMP)  ## make data-samples/ anew, bit for bit
	$(BIN)/python -m phasekit.samples make

bench-explorers: $(STAMP)  ## latency of explorers and result pages in a browser (5 minutes) -> benchmarks/explorers/report/
	$(BIN)/python -m benchmarks.explorers.bench
	$(BIN)/python -m benchmarks.explorers.workflows
	$(BIN)/python -m benchmarks.explorers.result_page

bench-stxm: $(STAMP)  ## phase maps beside the simple methods and Mantis (hours) -> benchmarks/stxm/report/
	$(BIN)/python -m benchmarks.stxm.bench

bench-acom: $(STAMP)  ## orientation mapping beside pyxem and py4DSTEM (40 minutes) -> benchmarks/acom/report/
	$(BIN)/python -m benchmarks.acom.bench

bench-nmf: $(STAMP)  ## factorisation and choice of k beside other packages and rules (hours) -> benchmarks/nmf/report/
	$(BIN)/python -m benchmarks.nmf.bench

screenshots: $(STAMP)  ## pictures of the explorers for the documentation, taken by the tests in a browser (5 minutes)
	$(BIN)/python -m tests.browser.screenshots

docs: $(DOCS_STAMP)  ## the documentation site, warnings as errors -> docs/_build/html/index.html (NOTEBOOKS=0: none executed)
	$(BIN)/python docs/build.py $(if $(filter 0,$(NOTEBOOKS)),--no-notebooks)

environment: $(STAMP)  ## make environment.yml anew from pyproject.toml
	PYPROJECT2CONDA=$(BIN)/pyproject2conda binder/make_environment.sh

constraints: $(STAMP)  ## resolve the pinned versions for every Python minor anew
	UV=$(BIN)/uv constraints/make.sh

clean:  ## remove the environment, caches and runs/
	rm -rf $(VENV) .venvs .lint runs build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf benchmarks/.envs benchmarks/.runs docs/_build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml $(wildcard constraints/py*.txt) constraints/pins.in $(PINS)
	@test -n "$(PYTHON)" || { echo "phasekit needs Python 3.11, 3.12 or 3.13, and none was found. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (2 GB, a few minutes, once) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "That Python has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$(TORCH_PIN)" $(if $(TORCH_INDEX),,-c $(CONSTRAINTS))
	$(PIP) install -c $(CONSTRAINTS) --editable ".[notebooks,test]"
	@# orix compiles on its first import; two processes doing so at once have left a cache that crashes every later import.
	$(BIN)/python -c "import orix.quaternion.symmetry"
	@touch $@

$(DOCS_STAMP): $(STAMP)
	$(PIP) install -c $(CONSTRAINTS) --editable ".[docs]"
	@touch $@
