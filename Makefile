# Ladenbuch. `make` alone lists what can be done.
#
# Everything is set up from this folder: Python 3.11+, make and a package index are all that is needed.

# A name on the PATH is not yet a Python that runs (version managers leave shims behind), so each is asked, in every folder; the
# first python3 is named even when it is too old, for tools/check_python.sh to say so.
PYTHONS := python3.13 python3.12 python3.11 python3
PYTHON ?= $(shell IFS=:; for name in $(PYTHONS); do for folder in $$PATH; do \
	"$$folder/$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$folder/$$name" && exit; \
	done; done; command -v python3)
BIN := .venv/bin
STAMP := .venv/.ladenbuch-locked
export UV_SYSTEM_CERTS := 1
# Where this is set (containers do), every command would compile what it imports again: three times the work of a run.
export PYTHONDONTWRITEBYTECODE :=
ORDERS ?= 200
SEED ?= 7
FAULTS ?= calm
SEEDS ?= 1000
CLIENTS ?= build/clients
# One more than there are processors: many tests wait for something.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 1 )))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check chaos prove bench clients lock format clean

help: ## List what can be done
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make the virtual environment (.venv) from the hashed lock file

$(STAMP): requirements.lock pyproject.toml tools/check_python.sh
	@sh tools/check_python.sh "$(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv 2>/dev/null || $(BIN)/python -m pip install --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

demo: setup ## Watch a simulated shop's day turn into books (ORDERS=200 SEED=7 FAULTS=calm|rain|storm SERVE=1)
	@$(BIN)/ladenbuch demo --orders $(ORDERS) --seed $(SEED) --faults $(FAULTS) $(if $(SERVE),--serve)

test: setup check ## Everything: style, types, import contract, and all tests on SQLite and PostgreSQL
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not browser"

test-fast: setup ## The tests without the long chaos and acceptance runs
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow and not browser" tests/unit tests/contract tests/integration

check: setup ## Style, types and the import contract only
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

chaos: setup ## Long chaos runs in ring 1 (SEEDS=1000)
	@LADENBUCH_CHAOS_SEEDS=$(SEEDS) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal tests/chaos/test_ring1.py

prove: setup ## The long proofs; LINE=kill runs one of them. Output is kept in docs/proofs
	@$(BIN)/python tools/prove.py $(LINE)

bench: setup ## The benchmark table: ingest against a bare application in the same run
	@$(BIN)/python bench/ingest.py

clients: setup ## Shopify's own libraries, for tests/contract/test_third_party_clients.py (needs npm)
	@mkdir -p $(CLIENTS)
	@cp tests/contract/clients/node/package.json tests/contract/clients/node/package-lock.json $(CLIENTS)/
	@npm ci --prefix $(CLIENTS) --no-audit --no-fund --loglevel=error
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(CLIENTS)/python
	@$(BIN)/uv pip install --quiet --python $(CLIENTS)/python/bin/python --require-hashes -r tests/contract/clients/requirements.lock

lock: ## Compile requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 --extra dev --extra telemetry pyproject.toml -o requirements.lock
	@echo shopifyapp==1.0.2 | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header --python-version 3.11 - -o tests/contract/clients/requirements.lock

format: setup ## Format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

clean: ## Remove the virtual environment and caches
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
