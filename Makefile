# Everything runs from .venv, which the first target that needs it makes. `make` alone lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The pages of the web console are built again when one of their files or the lock file of Node has changed.
PAGES := $(VENV)/.console
PAGE_FILES := $(shell find console -name node_modules -prune -o -type f -print 2>/dev/null)
FAST := tests/property tests/contract tests/unit
# Some of them take seconds or start a Python of their own: `make test` runs those too.
QUICK := -m 'not slow and not long' $(FAST)
# Every page of the console is driven by `make test-console`; tests/system/test_console_pages.py runs with the stacks.
BROWSER := tests/console
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
ALL := --ignore=$(BROWSER) tests
STACKS := --ignore=tests/unit --ignore=tests/property --ignore=tests/contract $(ALL)
# Several processes that share one collection: stacks, which wait more than they compute, and fast tests beside them.
BESIDE := -p tests.kit.side_by_side
# Compiled modules are kept whatever the environment says: a run of the tests starts hundreds of processes.
PYTEST := PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE= MYTRADING_TEST_PATIENCE=3 $(BIN)/python -m pytest
# What failed beside others has to pass by itself: three at once on two cores miss a deadline now and then. Both runs are
# printed; a test that fails twice fails the build.
TWICE = status=$$?; if [ $$status -eq 1 ]; then \
	echo; echo 'once more, each by itself: what failed beside others'; \
	$(PYTEST) $(1) --last-failed --last-failed-no-failures none; else exit $$status; fi
# What tools without a command of their own leave behind. Numba's and Python's compiled modules of the environments stay.
SWEEP = rm -rf .mypy_cache .pytest_cache .hypothesis htmlcov build dist *.egg-info; \
	find . -name '.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +; \
	find logs -type f ! -name .gitkeep -delete
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check
# For Linux and Python 3.11; pip keeps what it downloaded, so that a second checkout takes a minute.
DOWNLOAD := 190 MB
ON_DISK := 830 MB
MINUTES := 1 to 7 minutes
BEGAN := $(shell date +%s)
# What pip says without a network names a package that it did not find.
EXPLAIN = if grep -q 'connection broken by\|connection error' $(VENV)/pip.log; then \
	echo 'setup: no network: pip cannot reach its package index. Connect this machine, or name an index it can reach' \
	'(PIP_INDEX_URL=…), and run make setup again; what was downloaded is kept.'; else \
	echo 'setup: pip failed, as it says above; its whole log is $(VENV)/pip.log. Mend that and run make setup again.'; fi >&2
PEER_PYTHON ?= python3.12
PEERS := .venv-bench
# Per cent of the examples of hypothesis that `make test` and `make test-fast` try; `make test-all` tries all.
SHARE ?= 15
# What `make test-all`, `make soak` and `make engines` draw from: another number for each run, or the one that a run printed.
DRAWN := $(or $(SEED),$(BEGAN))
AGAIN = echo '$@: what is random is drawn from the seed $(DRAWN); the same again: make $@ SEED=$(DRAWN)'
ARGS ?=

.PHONY: help setup console test-console browser-where-found paper test test-fast test-side-by-side test-stacks types test-all coverage soak storms engines fuzz flood chaos brokers bench bench-peers bench-console pictures lint clean distclean

help:
	@echo 'make setup       make .venv with everything in it, pinned and checked by hash'
	@echo 'make console     build the pages of the web console, which `make setup` does too'
	@echo 'make paper       trade paper money at the simulator; ARGS="--fresh", ARGS="--for 30 --json"'
	@echo 'make test        lint, types, tests of every part: seven to nine minutes on two cores'
	@echo 'make test-fast   unit, property and contract tests but the slow ones, 75 seconds; ARGS="-k trailing"'
	@echo 'make test-stacks whole backtests and the tests that start the real processes; see docs/testing.md'
	@echo 'make test-all    as `make test`, with chaos, the tests that take long, and all random examples; SEED=2 repeats them'
	@echo 'make coverage    what the unit tests reach, line by line, in htmlcov/'
	@echo 'make soak        the order machine against a lying broker, thousands of days; EXAMPLES=2000, SEED=2'
	@echo 'make storms      stormy days of the order machine by seed, what went wrong by kind; SEEDS=1-3000, ARGS="--draws all"'
	@echo 'make engines     backtests of random strategies by the lean engine and by the machines; EXAMPLES=5000, SEED=2'
	@echo 'make fuzz        whatever may come from outside, to every parser and daemon; CASES=100000, SEED=2'
	@echo 'make flood       10,000 signals in 60 s: no limit exceeded, none lost; SIGNALS=, SECONDS='
	@echo 'make chaos       kill, stop and starve a stack of its own for 30 minutes; ARGS="--minutes 120 --runs 24"'
	@echo 'make brokers     live stacks at simulators of all brokers, two hours; NAME=dhan, ARGS="--json"'
	@echo 'make bench       measure latency, start and memory; ARGS="--json"'
	@echo 'make bench-peers the same work by others, in .venv-bench; PEER_PYTHON=python3.12, ARGS="vectorbt polars"'
	@echo 'make bench-console what Chromium makes of the web console; about 50 MB to download once; ARGS="--json"'
	@echo 'make test-console every page of the web console in Chromium; about 50 MB to download once'
	@echo 'make pictures    the pictures of the documents, with Chromium; ARGS="backtest chart"'
	@echo 'make lint        ruff and mypy'
	@echo 'make clean       remove caches, reports and logs (never .venv, never the state of a stack)'
	@echo 'make distclean   as `make clean`, and the environments with it'

setup: $(STAMP)
	@$(MAKE) --no-print-directory $(PAGES) > $(VENV)/console.log 2>&1 || \
		echo 'setup: the pages of the web console were not built ($(VENV)/console.log says why); all else works, `make console` tries again'

console: $(STAMP) $(PAGES)

$(PAGES): $(PAGE_FILES) requirements-console.lock | $(STAMP)
	@$(BIN)/python -m lab.console_pages
	@touch $@

test-console: $(STAMP) $(PAGES) $(VENV)/.browser
	@$(PYTEST) -q $(BROWSER) $(ARGS)

# What the tests of stacks look at the console's pages with, where Chromium is. A failure costs one line.
browser-where-found: $(STAMP)
	@if [ -z "$(CHROMIUM)" ]; then echo 'test: the pages of the web console are not looked at: no Chromium (apt-get install chromium)'; \
	else $(MAKE) --no-print-directory $(PAGES) $(VENV)/.browser > $(VENV)/browser.log 2>&1 || \
		echo 'test: the pages of the web console are not looked at ($(VENV)/browser.log says why); all else is tested'; fi

$(VENV)/.browser: requirements-browser.lock | $(STAMP)
	@$(INSTALL) --quiet --no-deps --require-hashes -r requirements-browser.lock
	@touch $@

$(STAMP): requirements.lock pyproject.toml
	@test -x $(BIN)/python || "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo '$(PYTHON) is $(shell "$(PYTHON)" --version 2>&1): expected Python 3.11 or later; name one: make setup PYTHON=python3.11' >&2; exit 1; }
	@test -x $(BIN)/python || { echo 'setup, step 1 of 3: an environment of its own in $(VENV)'; "$(PYTHON)" -m venv $(VENV); }
	@echo 'setup, step 2 of 3: the $(shell grep -c '^[a-z].*==' requirements.lock) packages of requirements.lock, each checked by its hash.' \
		'About $(DOWNLOAD) to download and $(ON_DISK) on disk; $(MINUTES).'
	@rm -f $(VENV)/pip.log $(VENV)/.fetched
	@{ $(INSTALL) --log $(VENV)/pip.log --require-hashes -r requirements.lock && touch $(VENV)/.fetched; } | grep --line-buffered '^ *Downloading '; \
		test -e $(VENV)/.fetched || { $(EXPLAIN); exit 1; }
	@echo 'setup, step 3 of 3: MyTrading itself'
	@$(INSTALL) --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q mytrading || true
	@touch $@
	@echo "setup: done in $$(( $$(date +%s) - $(BEGAN) )) s; \`make paper\` starts a stack on paper money"

paper: setup
	@$(BIN)/mytrading up --simulator $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory types

types: $(STAMP)
	$(BIN)/mypy

# Types are checked beside the tests; what mypy says comes last.
test test-fast test-stacks: export TEST_EXAMPLES = $(SHARE)
test: $(STAMP) browser-where-found
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@types=$$(mktemp); trap 'rm -f $$types' EXIT; \
	nice -n 10 $(MAKE) --no-print-directory types > $$types 2>&1 & checked=$$!; \
	$(MAKE) --no-print-directory test-side-by-side; tests=$$?; \
	wait $$checked; checked=$$?; cat $$types; exit $$(( tests + checked ))

test-side-by-side: $(STAMP)
	@$(PYTEST) $(BESIDE) $(ALL) $(ARGS); $(call TWICE,$(ALL) $(ARGS))

test-fast: $(STAMP)
	@$(PYTEST) -q $(BESIDE) $(QUICK) $(ARGS); $(call TWICE,-q $(QUICK) $(ARGS))

test-stacks: $(STAMP)
	@$(PYTEST) $(BESIDE) $(STACKS) $(ARGS); $(call TWICE,$(STACKS) $(ARGS))

test-all: export TEST_EXAMPLES = 100
test-all: export FUZZ_SEED = $(DRAWN)
test-all: lint
	@$(AGAIN)
	@$(MAKE) --no-print-directory test-side-by-side ARGS="-m '' --hypothesis-seed=$(DRAWN) $(ARGS)" || { $(AGAIN); exit 1; }

coverage: $(STAMP)
	$(PYTEST) -q -n 3 --dist worksteal --cov --cov-report=term:skip-covered --cov-report=html tests/unit tests/backtest $(ARGS)

soak: $(STAMP)
	@$(AGAIN)
	SOAK_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest -q --timeout=0 --hypothesis-seed=$(DRAWN) tests/property/test_oms_machine.py tests/property/test_oms_changes.py $(ARGS)

storms: $(STAMP)
	@$(BIN)/python -m tests.kit.storm_scan --seeds $(or $(SEEDS),1-200) $(ARGS)

engines: $(STAMP)
	@$(AGAIN)
	ENGINES_EXAMPLES=$(or $(EXAMPLES),5000) $(BIN)/python -m pytest -q --timeout=0 --hypothesis-seed=$(DRAWN) tests/property/test_backtest_lean.py tests/property/test_backtest_lean_legs.py $(ARGS)

fuzz: $(STAMP)
	FUZZ_CASES=$(or $(CASES),100000) FUZZ_SEED=$(or $(SEED),1) $(BIN)/python -m pytest -q --timeout=0 tests/property/test_fuzz_parsers.py tests/property/test_fuzz_daemons.py tests/property/test_fuzz_webhooks.py tests/property/test_fuzz_console.py $(ARGS)

flood: $(STAMP)
	FLOOD_SIGNALS=$(or $(SIGNALS),10000) FLOOD_SECONDS=$(or $(SECONDS),60) $(BIN)/python -m pytest -q -s tests/system/test_flood.py $(ARGS)

chaos: $(STAMP)
	$(BIN)/mytrading chaos --minutes 30 --runs 6 --personality all $(ARGS)

brokers: $(STAMP)
	$(BIN)/python -m lab.brokers $(NAME) $(if $(NAME),,--write docs/brokers-conformance.json) $(ARGS)

bench: $(STAMP)
	PYTHONDONTWRITEBYTECODE= $(BIN)/mytrading bench $(ARGS)

bench-console: $(STAMP) $(PAGES) $(VENV)/.browser
	$(BIN)/python -m lab.bench.console_browser $(ARGS)

bench-peers: $(STAMP)
	-@$(MAKE) --no-print-directory $(PEERS)/.installed
	$(BIN)/python -m lab.bench.peers $(PEERS)/bin/python $(ARGS)

$(PEERS)/.installed: requirements-bench.lock
	@test -x $(PEERS)/bin/python || "$(PEER_PYTHON)" -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-bench.lock
	@touch $@

pictures: $(STAMP) $(PAGES) $(VENV)/.browser
	$(BIN)/python -m tests.kit.pictures $(ARGS)

clean: $(STAMP)
	@$(BIN)/ruff clean --quiet
	@$(BIN)/coverage erase
	@$(call SWEEP)

# By itself: an environment is not made only to be removed.
distclean:
	rm -rf $(VENV) $(PEERS) console/node_modules mytrading/daemons/console/bundle .coverage* .ruff_cache
	@$(call SWEEP)
