# One line per target; each makes what it needs in .venv, and says nothing when that stands already.
#   make demo [URL=postgresql://…]    the tutorial, on SQLite or wherever the URL leads
#   make test [ARGS='-k pool']        the tests, on every database that can be found or started
#   make steps [ARGS='-k sqlite']     an exception at every line and every await, on each of them
#   make fuzz [SECONDS=20 KIND=mysql SEED=1]   reads texts beside each server's own parser
#   make model [PREEMPTIONS=3]        looks longer for what breaks the pool: its book, and its threads on every schedule
#   make storm [SECONDS=30 KIND=mysql]   500 threads, and 10 000 tasks, on a small pool: fair turns
#   make soak [COUNT=300000 KIND=mysql]  very many short transactions: nothing grows
#   make forks [COUNT=200 KIND=mysql]    forks amid traffic, and programs that end amid their work
#   make mark URL=mysql://…           allows the tests to write to that database
PYTHON ?= python3
VENV ?= .venv
URL :=
ARGS ?=
SECONDS ?= 20
PREEMPTIONS ?= 3
BIN := $(VENV)/bin
comma := ,
EXTRA := $(if $(filter postgres%,$(URL)),$(comma)postgresql)$(if $(filter mysql% mariadb%,$(URL)),$(comma)mysql)
DATABASES := postgresql://app:pw@127.0.0.1:15432/test mysql://app:pw@127.0.0.1:13306/test mariadb://app:pw@127.0.0.1:13307/test

.PHONY: demo test check sync bench fuzz model steps storm soak forks docs up down mark matrix clean

demo: $(VENV)/.demo$(EXTRA) ; @$(BIN)/python examples/tutorial.py $(if $(URL),'$(URL)')
test: $(VENV)/.test,postgresql,mysql ; $(BIN)/python -m pytest $(ARGS)
steps: $(VENV)/.test,postgresql,mysql ; PLAINSQL_STEPS=all $(BIN)/python -m pytest tests/steps $(ARGS)
sync: $(VENV)/.dev,postgresql,mysql ; $(BIN)/python tools/unasync.py
bench: $(VENV)/.bench,demo,postgresql,mysql ; $(BIN)/python -m bench $(ARGS)
fuzz: $(VENV)/.test,postgresql,mysql ; $(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(KIND),--kind $(KIND))
model: $(VENV)/.test,postgresql,mysql ; PREEMPTIONS=$(PREEMPTIONS) $(BIN)/python -m pytest -q -s --hypothesis-profile=model tests/unit/test_ledger_machine.py tests/unit/test_schedules.py
storm soak forks: $(VENV)/.test,postgresql,mysql
	@$(BIN)/python -m tests.load $@ $(if $(filter command line,$(origin SECONDS)),--seconds $(SECONDS)) $(if $(COUNT),--count $(COUNT)) $(if $(KIND),--kind $(KIND)) $(ARGS)
docs: $(VENV)/.dev,postgresql,mysql ; NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
up: ; docker compose up --detach --wait && for url in $(DATABASES); do k=$${url%%:*}; echo "PLAINSQL_TEST_$$(echo $$k | tr a-z A-Z)_URL=$$url"; done >.env.test
down: ; rm -f .env.test; docker compose down --volumes
mark: $(VENV)/.test,postgresql,mysql ; @$(BIN)/python -m tests.servers mark '$(URL)'
matrix: ; @for v in 3.11 3.12 3.13 3.14; do ! command -v python$$v >/dev/null || $(MAKE) test PYTHON=python$$v VENV=.venv-$$v || exit 1; done
clean: ; rm -rf .venv .venv-* build dist site .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

check: $(VENV)/.dev,postgresql,mysql
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python tools/unasync.py --check
	$(BIN)/python -m pytest -q tests/unit/test_floors.py
	@$(MAKE) --no-print-directory docs

# $(VENV)/.a,b: plainsql is installed there with the extras a and b
$(VENV)/.%: pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@
$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python's venv module is missing: on Debian, apt-get install python3-venv" >&2; exit 1; }
