# Everything goes into .venv here and runs/; nothing else on the machine is touched.
# Needs GNU make, a POSIX shell and Python 3.11, 3.12 or 3.13: the first found, or `make test PYTHON=/path/to/python3.12`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help quickstart test test-fast coverage lint audit docs package rebuild

BIN := .venv/bin
MADE := .venv/.made
RUNTIME := .venv/.installed
DEVELOPMENT := .venv/.installed-dev
# Holds the process that is installing; what a killed one leaves tells that packages may be half there.
INSTALLING := .venv/.installing
PYTHONS := $(or $(PYTHON),python3.11 python3.12 python3.13 python3)

# Twice quiet: errors only.
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt

# Files of tests go to the next process that is free, in the order of tests/conftest.py.
IN_TWO_PROCESSES := -n 2 --dist loadfile --no-loadscope-reorder

# A .venv of use was finished, here (its scripts hold the folder's name), and its Python is still on the machine.
VENV_IS_GOOD := $(shell [ "$$(cat $(MADE) 2>/dev/null)" = "$$(pwd -P)" ] && [ ! -e $(INSTALLING) ] \
	&& $(BIN)/python -c 'import pip' 2>/dev/null && echo yes)

help:
	@echo 'make quickstart   train a small translator, score it, and show how to use it'
	@echo 'make test         check format, style, types, imports and security, then run all tests'
	@echo 'make test-fast    run the fast tests alone'
	@echo 'make coverage     run all tests and count the lines that they reach'
	@echo 'make lint         check format, style, types, imports and security only'
	@echo 'make audit        look for known vulnerabilities of the pinned packages (needs the network)'
	@echo 'make docs         build the site into build/site'
	@echo 'make package      build wheel and sdist into dist/, and try the wheel alone in an empty environment'
	@echo
	@echo 'Each installs what it needs into .venv first. PYTHON=/path/to/python3.12 chooses another Python.'

quickstart: $(RUNTIME)
	$(BIN)/nmt quickstart

test: lint
	$(BIN)/python -m pytest $(IN_TWO_PROCESSES)

# Counting lines makes a test take up to half as long again: long ones whose lines others reach are marked no_cover.
coverage: $(DEVELOPMENT)
	$(BIN)/python -m pytest $(IN_TWO_PROCESSES) --cov=nmt --cov-report=term-missing:skip-covered --cov-fail-under=90

test-fast: $(DEVELOPMENT)
	$(BIN)/python -m pytest $(IN_TWO_PROCESSES) -m 'not slow'

lint: $(DEVELOPMENT)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/bandit -q -c pyproject.toml -r nmt scripts

audit: $(DEVELOPMENT)
	$(PIP_INSTALL) -e '.[audit]'
	$(BIN)/pip-audit --disable-pip --no-deps -r constraints.txt

docs: $(DEVELOPMENT)
	$(PIP_INSTALL) -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

package: $(DEVELOPMENT)
	$(PIP_INSTALL) -e '.[package]'
	scripts/package.sh --try

$(DEVELOPMENT): $(RUNTIME) pyproject.toml constraints.txt
	@echo 'Installing the tools for tests (a few seconds) ...'
	@echo $$$$ > $(INSTALLING) && $(PIP_INSTALL) -e '.[dev]' && rm $(INSTALLING)
	@touch $@

$(RUNTIME): $(MADE) pyproject.toml constraints.txt
	@echo 'Installing TensorFlow and all else into .venv (about a minute, 600 MB to download the first time) ...'
	@echo $$$$ > $(INSTALLING) && $(PIP_INSTALL) -e . && rm $(INSTALLING)
	@touch $@

$(MADE): $(if $(VENV_IS_GOOD),,rebuild)
	@if [ -s $(INSTALLING) ] && kill -0 "$$(cat $(INSTALLING))" 2>/dev/null; then \
		echo "Another make (process $$(cat $(INSTALLING))) is installing into .venv; wait until it is done." >&2; \
		exit 1; \
	fi
	@for python in $(PYTHONS); do \
		$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue; \
		if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then without_venv=$$python; continue; fi; \
		echo "Making .venv with $$python ($$($$python -V)) ..."; \
		rm -rf .venv && $$python -m venv .venv && pwd -P > $@; \
		exit; \
	done; \
	if [ "$$without_venv" ]; then \
		echo "$$without_venv has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; \
	else \
		echo "None of these is Python 3.11, 3.12 or 3.13: $(PYTHONS)." >&2; \
		echo 'Install one, or name the one to use: make test PYTHON=/path/to/python3.12' >&2; \
	fi; \
	exit 1
