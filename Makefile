# Everything a person does with a checkout. Needs GNU make and Python 3.11 or newer, nothing else:
# each target makes the .venv it needs, from the hash-locked files in requirements/.
#
#   make serve ARGS="--port 9000"      arguments for gatewayctl serve
#   make test ARGS="-k cascade -x"     arguments for pytest
#   make test WORKERS=8                how many tests run at once: some of them wait for something
#   make chaos REQUESTS=1000           requests of each kind
#   make PYTHON=python3.13 serve       which Python the .venv is made with

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

ARGS ?=
WORKERS ?= 5
REQUESTS ?= 500
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

PY := .venv/bin/python
# Every worker and every program that a test starts would compile each module anew.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(PY) -m pytest
PIP_INSTALL := $(PY) -m pip install --quiet --require-hashes
UV_COMPILE := $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
SNAPSHOT := scripts/build_snapshot.py
VOCABULARIES := scripts/build_vocabularies.py
GENERATORS := $(sort $(wildcard scripts/build_*.py))

.PHONY: help
help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# --- running -----------------------------------------------------------------------------------

.PHONY: serve
serve: .venv/.runtime ## start the daemon with its embedded demo: no key, no configuration
	@.venv/bin/gatewayctl serve --demo $(ARGS)

# --- checking ----------------------------------------------------------------------------------

.PHONY: check
check: format-check lint types imports generated test ## everything CI checks

.PHONY: test
test: .venv/.dev ## run the test suite
	@$(PYTEST) -n $(WORKERS) --dist=worksteal -m "not agents" $(ARGS)

.PHONY: agents
agents: .venv/.dev ## run the tests that drive genuine agents and a model server (needs a network)
	@$(PY) scripts/install_agents.py >/dev/null || [ $$? -eq 3 ]  # 3: the tests say what is missing
	@$(PYTEST) tests/e2e -n 2 --dist=loadgroup -m agents $(ARGS)

.PHONY: chaos
chaos: .venv/.dev ## send thousands of requests at an upstream that fails at random, and print the rates
	@$(PY) scripts/install_agents.py faulty-upstream >/dev/null
	@GATEWAYCTL_CHAOS_REQUESTS=$(REQUESTS) $(PYTEST) tests/e2e/test_chaos.py -s $(ARGS)

.PHONY: conformance
conformance: .venv/.dev ## score the simulator and the gateway with llm-comply, and write the table
	@$(PY) scripts/install_agents.py conformance >/dev/null
	@$(PY) scripts/build_conformance.py

.PHONY: soak
soak: .venv/.dev ## abort 10,000 streams, kill the daemon 20 times: nothing leaks, nothing is lost
	@GATEWAYCTL_SOAK=1 $(PYTEST) -m soak -s $(ARGS)

.PHONY: fuzz
fuzz: .venv/.dev ## run the property tests at random and ten times as long (about five minutes)
	@HYPOTHESIS_PROFILE=fuzz $(PYTEST) -n $(WORKERS) -m "hypothesis and not agents" $(ARGS)

.PHONY: bench
bench: .venv/.dev ## measure this and a peer side by side and write a table (about two minutes)
	@$(PY) benchmarks/run.py

.PHONY: format-check
format-check: .venv/.dev
	@echo "== format"
	@$(PY) -m ruff format --check --quiet .

.PHONY: lint
lint: .venv/.dev
	@echo "== lint"
	@$(PY) -m ruff check --quiet .

.PHONY: types
types: .venv/.dev
	@echo "== types"
	@$(PY) -m mypy

.PHONY: imports
imports: .venv/.dev
	@echo "== imports"
	@.venv/bin/lint-imports --no-logo

.PHONY: generated
generated: .venv/.dev
	@echo "== generated files"
	@for generator in $(GENERATORS); do $(PY) "$$generator" --check || exit 1; done

# --- changing ----------------------------------------------------------------------------------

.PHONY: fix
fix: .venv/.dev ## format, and apply the linter's safe fixes
	@$(PY) -m ruff check --fix --exit-zero --quiet .
	@$(PY) -m ruff format .

.PHONY: generate
generate: .venv/.dev ## write completions, man pages and the other generated files anew
	@for generator in $(filter-out $(SNAPSHOT) $(VOCABULARIES),$(GENERATORS)); do $(PY) "$$generator" || exit 1; done

.PHONY: snapshot
snapshot: .venv/.dev ## build the packaged table of models anew (needs the sources' files)
	@$(PY) $(SNAPSHOT)

.PHONY: vocabularies
vocabularies: .venv/.dev ## pack the vocabularies anew (needs OpenAI's .tiktoken files)
	@$(PY) $(VOCABULARIES)

.PHONY: lock
lock: .venv/.dev ## bring the lock files up to pyproject.toml (ARGS=--upgrade for newer versions)
	@$(UV_COMPILE) pyproject.toml --group build -o requirements/runtime.lock $(ARGS)
	@$(UV_COMPILE) pyproject.toml --extra huggingface --group build --group dev \
		-c requirements/runtime.lock -o requirements/dev.lock $(ARGS)
	@for group in conformance faulty-upstream model-server; do \
		$(UV_COMPILE) --group $$group -o requirements/$$group.lock $(ARGS) || exit 1; done

.PHONY: clean
clean: ## remove .venv, caches and build products
	rm -rf .venv build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache

# --- the environment ---------------------------------------------------------------------------
# Stamp files say what .venv holds, so that a second run starts at once. The lock files name the
# build backend too: nothing is fetched that has no hash in them.

.venv/.python: scripts/find_python.sh
	@python=$$(sh scripts/find_python.sh) || exit 1; \
	if ! $(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "Making .venv with $$($$python -V) ..."; \
		"$$python" -m venv --clear .venv || exit 1; \
	fi
	@touch .venv/.python

.venv/.runtime: requirements/runtime.lock pyproject.toml | .venv/.python
	@echo "Installing $$(grep -c '==' requirements/runtime.lock) locked packages ..."
	@$(PIP_INSTALL) -r requirements/runtime.lock
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch .venv/.runtime

.venv/.dev: requirements/dev.lock pyproject.toml | .venv/.python
	@echo "Installing $$(grep -c '==' requirements/dev.lock) locked packages for development ..."
	@$(PIP_INSTALL) -r requirements/dev.lock
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch .venv/.runtime .venv/.dev
