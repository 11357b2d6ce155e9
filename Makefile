# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
# Python writes bytecode only where it may; without it `import mlflow` takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
# One thread each: models that are fitted by several would only wait for each other. A third of the time tests wait for
# servers, so that two cores keep three workers busy.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadgroup
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install demo test test-long check format docs proto bench lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 16

.venv/.installed: requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Slipway needs Python 3.11 or newer, found $$($(PYTHON) --version); run make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "downloading and compiling what Slipway needs: a minute or two, and about 2 GB"
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --editable .
	touch $@

install: .venv/.installed  ## the environment alone: .venv with the tested versions of everything

demo: .venv/.installed  ## the main job, out loud: train twice, compare, promote, serve, score
	docs/demo.sh

test: .venv/.installed  ## all tests but the long ones
	$(TEST)

test-long: .venv/.installed  ## the long tests: many rounds of races, every combination, the demo on a team's stack
	$(TEST) -m long

check: .venv/.installed  ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: .venv/.installed  ## put the code into the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.installed  ## the site of the documentation, into build/site
	$(BIN)/python docs/make_reference.py
	$(BIN)/mkdocs build --quiet --strict

proto: .venv/.installed  ## the descriptor of the protocol over gRPC, from its .proto file
	$(BIN)/python docs/make_descriptor.py

bench: .venv/.installed  ## what we measure, beside whom
	$(BIN)/python -m benchmarks

lock: .venv/.installed  ## resolve requirements.lock anew from setup.cfg
	$(BIN)/uv pip compile setup.cfg --extra dev --universal --python-version 3.11 \
	  --no-emit-index-url --no-annotate --upgrade --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove the environment and caches, never the runs
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
