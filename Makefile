PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
IN_PARALLEL := --no-loadscope-reorder --numprocesses
.DEFAULT_GOAL := help
RUNS ?= 2000
FIRST ?= 1
.PHONY: help setup demo run test test-servers test-simulation test-stripe simulate lint format bench clean

help: ## List what can be done here
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:
	@$(PYTHON) -m deploy.local.bootstrap

demo: setup ## Start everything, play the campaigns in scenarios/, check the books, stop
	@$(BIN)/python -m scenarios.demo

run: setup ## Start the platform, print its addresses, stay until Ctrl-C
	@$(BIN)/python -m deploy.local.run

test: lint ## Lint, types, architecture, and the tests against real servers
	@$(PYTEST) tests/acceptance
	@$(MAKE) --no-print-directory --jobs 2 test-servers test-simulation

test-servers:
	@$(PYTEST) $(IN_PARALLEL) 3 --ignore tests/acceptance --ignore tests/simulation

# In virtual time, so it can take whatever time the other tests leave; its report comes when it has ended.
test-simulation:
	@mkdir -p .local
	@nice -n 19 $(PYTEST) $(IN_PARALLEL) 2 tests/simulation >.local/simulation.log 2>&1; \
		ended=$$?; cat .local/simulation.log; exit $$ended

test-stripe: setup ## The payment journeys on Stripe's test mode: STRIPE_API_KEY=sk_test_…
	@$(PYTEST) tests/stripe/on_stripe.py

simulate: setup ## Play RUNS=2000 seeded lives of campaigns from seed FIRST=1 on, while everything fails
	@SIMULATION_RUNS=$(RUNS) SIMULATION_FIRST=$(FIRST) $(PYTEST) $(IN_PARALLEL) 2 tests/simulation

lint: setup ## Ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports

format: setup ## Put the code in its form
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: setup ## Measure against baselines; ROW=intake runs one row, ROW=placements a long one
	@$(BIN)/python -m bench $(ROW)

clean: ## End what killed runs left behind; remove .local and caches
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m deploy.local.clean; fi
	@rm -rf .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
