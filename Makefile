# Everything happens in .venv, which is made on the first call; later calls find it ready and start at once.
#
#   make demo                     simulate, train, evaluate and report the swarm; open the report
#   make test  ARGS="-k density"  arguments go to pytest
#   make PYTHON=python3.13 test   another interpreter (3.11 or newer) for a new .venv

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
BENCH := $(VENV)/.installed-bench

# One thread per process: workers and tests run side by side, and BLAS threads on busy cores only wait for each other.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help install demo test soak matrix lint bench docs clean
.DELETE_ON_ERROR:

help:
	@echo "make install   emulant in .venv, from this folder"
	@echo "make demo      simulate, train, evaluate and report the swarm, and open the report"
	@echo "make test      the tests, without the long ones"
	@echo "make soak      the long tests"
	@echo "make matrix    wheel and sdist, each extra alone in an environment of its own; also part of soak"
	@echo "make lint      ruff, mypy and the layers of the packages"
	@echo "make bench     side by side with other packages"
	@echo "make docs      the documentation, in site/"
	@echo "make clean     remove .venv, caches and what was built; runs/ stays"

install: $(BASE)

demo: $(BASE)
	$(BIN)/emulant run swarm -o runs/swarm
	@echo "The report: $(CURDIR)/runs/swarm/report.html"
	@if [ "$$(uname)" = Darwin ]; then open runs/swarm/report.html || true; \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open >/dev/null; then \
		xdg-open runs/swarm/report.html || true; \
	fi

test: $(DEV)
	$(BIN)/pytest -m "not soak" $(ARGS)

soak: $(DEV)
	$(BIN)/pytest -m soak $(ARGS)

matrix: $(DEV)
	$(BIN)/pytest -m soak tests/packaging $(ARGS)

lint: $(DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(BENCH)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The documentation: $(CURDIR)/site/index.html"

clean:
	rm -rf $(VENV) build dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path "./runs/*" -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "emulant needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)."; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)

$(BASE): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[test,dev,video,docs,torch,llm,export,mpi,dask,play]'
	@touch $@ $(BASE)

$(BENCH): pyproject.toml constraints.txt | $(DEV)
	$(PIP) --editable '.[bench]'
	@touch $@
