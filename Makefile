PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
NODE_READY := tests/node/node_modules/.ready
N8N_READY := tests/n8n/node_modules/.ready

# Compiled files save each process of the tests seconds, also where the environment says not to write any.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all test-n8n mutants lint check format bench clean

demo: $(READY) ## watch a conference day's messages leave, in about a minute
	$(BIN)/tidings demo

# Most tests wait more than they compute, so there are more workers than cores; but each has servers of its own to start
# and plans to look at, so there are not many more. Those that measure time run when the
# others are done: they hardly compute, so they do not disturb each other. Only their files are read for that,
# in an order in which those that wait longest are not the last.
TIMING = -m timing $$(grep -rl mark.timing tests --include=*.py --exclude-dir=node_modules | sort -r) -n 8 --maxschedchunk 1

test: $(READY_TO_TEST) $(NODE_READY) ## run the tests against a real Valkey, and SQLite or PostgreSQL
	$(BIN)/pytest -m "not timing" -n 4 --dist worksteal
	$(BIN)/pytest $(TIMING)

test-all: $(READY_TO_TEST) $(NODE_READY) ## run the tests, those of a database on SQLite and on PostgreSQL, with every example
	$(BIN)/pytest --thorough -m "not timing" -n 4 --dist worksteal
	$(BIN)/pytest --thorough $(TIMING)

test-n8n: $(READY_TO_TEST) $(N8N_READY) ## run the tests against a real n8n, whose 3 GB come from npm: no part of the others
	$(BIN)/pytest -m n8n tests/n8n

mutants: $(READY_TO_TEST) ## break the wiring in many ways, and see that the tests notice each
	$(BIN)/python tests/mutants.py

lint: $(READY_TO_TEST) ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## everything before a commit

format: $(READY_TO_TEST) ## put the code into its usual form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY_TO_TEST) $(NODE_READY) ## measure everything from a row to the provider on this machine, and write BENCHMARKS.md
	$(BIN)/python -m benchmarks delivery
	$(BIN)/python -m benchmarks scheduling
	$(BIN)/python -m benchmarks punctuality
	$(BIN)/python -m benchmarks growth
	$(BIN)/python -m benchmarks engine --only idle --json .benchmarks/results/engine.json
	$(BIN)/python -m benchmarks report

clean: ## remove what the other targets made
	rm -rf $(VENV) tests/node/node_modules tests/n8n/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks

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

# n8n needs a newer Node than most machines have: npm brings one, the only package whose script runs.
$(N8N_READY): tests/n8n/package.json
	npm install --prefix tests/n8n --ignore-scripts --no-package-lock --no-audit --no-fund --loglevel=error
	npm rebuild --prefix tests/n8n --no-package-lock --loglevel=error node
	tests/n8n/node_modules/node/bin/node tests/n8n/node_modules/n8n/bin/n8n --version
	@touch $@
