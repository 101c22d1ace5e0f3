PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
NODE_READY := tests/node/node_modules/.ready

.PHONY: demo test check format bench clean

demo: $(READY) ## watch a conference day's messages leave, in about a minute
	$(BIN)/tidings demo

test: $(READY_TO_TEST) $(NODE_READY) ## run the tests against a real Valkey, SQLite and PostgreSQL
	$(BIN)/pytest -n 2 --dist worksteal

check: $(READY_TO_TEST) $(NODE_READY) ## format, lint, types, architecture, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal

format: $(READY_TO_TEST) ## put the code into its usual form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove what the other targets made
	rm -rf $(VENV) tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(READY): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(READY_TO_TEST): $(READY) requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement requirements-test.txt
	@touch $@

# The tests of the shared queues need Node's BullMQ; without Node they are skipped, except in CI.
$(NODE_READY): tests/node/package.json
	@if command -v npm >/dev/null; then npm install --prefix tests/node --no-audit --no-fund --silent && touch $@; \
	else echo "npm is not here: tests with Node's BullMQ will be skipped"; fi
