# Needs Python 3.11 or newer with pip and venv, make and git; nothing else, and no network but the package index.
.DEFAULT_GOAL := help
.SILENT:
.PHONY: help setup demo run test check bench drill lock format
SHELL := /bin/sh
PY ?= python3
B := .venv/bin

# Some machines forbid it: the tests start the program a hundred times, and would compile all of it each time.
unexport PYTHONDONTWRITEBYTECODE

# The environment is remade when the lock or the interpreter changes, and the project installed anew when its own
# description does. Times of files say little after a checkout, so their sums are in the names of the stamps.
LOCKED := .venv/.locked-$(shell (cat requirements/dev.lock; $(PY) -V) 2>&1 | cksum | tr ' ' '-')
INSTALLED := .venv/.installed-$(shell cat requirements/dev.lock pyproject.toml | cksum | tr ' ' '-')

help: ## say what can be made
	echo "make TARGET, where TARGET is one of"
	awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	echo "Another Python than python3: make TARGET PY=/path/to/python3.12"

setup: $(INSTALLED) ## make .venv from the lock

demo: setup ## play a whole course on a real server, and leave it running (ONCE=1: end after it; PORT=…)
	$(B)/provider demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

run: setup ## serve on http://127.0.0.1:8000 (PORT=…), with the data in ./data
	exec $(B)/provider serve --port $(or $(PORT),8000)

# Three on two processors: now and then each of them waits for a disk, a server or another process.
test: setup ## run all tests
	$(B)/pytest -n 3 --dist worksteal

check: setup ## look over format, style, types and who imports whom
	$(B)/ruff format --check --quiet . || { echo "make format would mend that."; exit 1; }
	$(B)/ruff check --quiet .
	$(B)/mypy --no-error-summary
	said=$$($(B)/lint-imports --no-cache) || { echo "$$said"; exit 1; }

bench: setup ## measure the speed beside the floor, and write bench.json
	$(B)/python -m tests.bench

drill: setup ## lose an office and restore its backup, then make other faults under load (KILLS=100 of them kills)
	$(B)/python -m tests.faults --kills $(or $(KILLS),100)

format: setup ## put the code into its format
	$(B)/ruff check --quiet --fix-only .
	$(B)/ruff format --quiet .

lock: ## write requirements/*.lock anew from pyproject.toml
	$(PY) -m venv --clear build/lock
	build/lock/bin/pip install -qq --disable-pip-version-check uv
	set -e; for lock in run dev; do \
	  build/lock/bin/uv pip compile --quiet --upgrade --universal --generate-hashes --no-header --python-version 3.11 \
	    --no-emit-index-url $$(test $$lock = run || echo --extra $$lock) pyproject.toml -o requirements/$$lock.lock; \
	done; \
	echo 'setuptools>=80' | build/lock/bin/uv pip compile --quiet --upgrade --generate-hashes --no-header \
	  --no-emit-index-url - -o requirements/build.lock

$(LOCKED):
	$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed, and $(PY) is not. Name one: make PY=/path/to/python3.11" >&2; exit 1; }
	echo "Making .venv (once, about a minute) …" >&2
	$(PY) -m venv --clear .venv || \
	  { echo "$(PY) can't make virtual environments; install its venv module (Debian: python3-venv)." >&2; exit 1; }
	$(B)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.lock
	touch $@

$(INSTALLED): $(LOCKED)
	$(B)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	rm -f .venv/.installed-*
	touch $@
