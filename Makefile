# The commands of the house; `make` alone lists them.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
EVENT ?= deploy/events/beijing-2016-07
CODE := agent alerts forecast server tests hatch_build.py

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: .venv/.installed  ## the virtual environment with everything in it

.venv/.installed: pyproject.toml hatch_build.py deploy/requirements/dev.txt $(shell find server/console -type f -not -path '*/node_modules/*')
	@test -n "$(PYTHON)" || { echo "Fenghuo needs Python 3.11 or newer / 需要 Python 3.11 以上版本"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv / 请先安装 python3-venv"; exit 1; }
	@echo "Installing into .venv (the first time takes a minute or two) / 正在安装到 .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check -r deploy/requirements/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

run: install  ## the whole chain with the bundled event, console at http://127.0.0.1:8000
	@$(BIN)/fenghuo run --event $(EVENT)

test: check  ## everything, on real TimescaleDB, Mosquitto and Chromium
	@$(BIN)/python -m tests.servers.prepare
	@$(BIN)/pytest

check: install  ## format, lint, types, import rule: seconds
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/unit/test_import_rule.py
	@if [ -d server/console/node_modules ] && command -v npm >/dev/null; then npm --prefix server/console run --silent check; fi

bench: install  ## the benchmark table of the README and bench/results.json (ONLY=ingest for a part)
	@$(BIN)/python -m tests.servers.prepare
	@$(BIN)/python -m tests.bench $(ONLY)

faults: install  ## more than a hundred kills, cuts, full disks (~20 min); exit 1 on any loss
	@$(BIN)/python -m tests.servers.prepare
	@FENGHUO_FAULTS=long FENGHUO_FAULT_KILLS=5 $(BIN)/pytest tests/faults

lock: install  ## compile deploy/requirements anew
	@$(BIN)/pip install --quiet --disable-pip-version-check pip-tools
	@for extra in agent server dev; do \
	  $(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	    --no-header --no-annotate --extra $$extra --output-file deploy/requirements/$$extra.txt pyproject.toml; \
	  sed -i '/^fenghuo @/d' deploy/requirements/$$extra.txt; done

.PHONY: help install run test check bench faults lock
