# Everything runs in ./.venv; nothing outside this folder is changed, apart from uv's download cache.
# Relative paths only: make cannot name a file whose path holds a space, and this folder may stand below one.

BIN := .venv/bin
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME
export UV_PROJECT_ENVIRONMENT := .venv
# Trust what the system trusts, as git did when it fetched this: behind a company's proxy nothing else works.
export UV_SYSTEM_CERTS ?= true

.PHONY: help install demo examples serve test test-store chaos lint format typecheck audit bench bench-peers bench-stores picture conventions clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

install: .venv/.ready  ## Set up ./.venv with both packages and the tools (the other targets do this by themselves)

demo: .venv/.ready  ## Trace an agent that fails, look at the run, and replay it: about ten seconds
	@$(BIN)/python -m examples.demo

examples: .venv/.ready  ## Run and check the examples with LangGraph, OpenAI Agents, Pydantic AI and CrewAI; installs them
	@set -eu; uv=$$(command -v uv || echo $(BIN)/uv); \
	for example in examples/frameworks/*.py; do \
	    echo "== $$example"; PYTHONPATH=. "$$uv" run --quiet --script "$$example"; \
	done

serve: .venv/.ready  ## Start the server on 127.0.0.1:4318 (HTTP) and 127.0.0.1:4317 (OTLP/gRPC)
	@$(BIN)/python -m backtrail_server serve

test-store: .venv/.ready  ## Run the store's tests, on the server that BACKTRAIL_TEST_STORE names if it is set
	$(BIN)/python -m pytest tests/store

test: .venv/.ready  ## Run all tests, warnings as errors
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

chaos: .venv/.ready  ## Run the long tests: hundreds of kills, outages of minutes, floods (marked nightly; about an hour)
	$(BIN)/python -m pytest -m nightly

conventions: .venv/.ready  ## Write the SQL and the pages that are made of conventions.toml and sources.toml
	$(BIN)/python -m backtrail_store.conventions
	$(BIN)/python -m backtrail_query.messages

lint: .venv/.ready  ## Check style (ruff) and who may import whom (import-linter)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: .venv/.ready  ## Sort imports and lay the code out
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

typecheck: .venv/.ready  ## Check the types of code and tests, strictly (mypy)
	$(BIN)/mypy

audit: .venv/.ready  ## Ask osv.dev whether anything in uv.lock has a known hole (needs the network)
	@PATH="$$PWD/$(BIN):$$PATH" uv audit --locked

bench: .venv/.ready  ## Measure, and print the tables of bench/README.md
	@$(BIN)/python -m bench

bench-peers: .venv/.ready  ## Measure a step beside seven other SDKs, installed for this into an environment of their own
	@PATH="$$PWD/$(BIN):$$PATH" uv run --quiet --script bench/peers.py

bench-stores: .venv/.ready  ## Store the same bodies in Backtrail, Phoenix and MLflow, which are installed for this; takes minutes
	@PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python -m bench.stores

picture: .venv/.ready  ## Draw docs/demo.svg again from what the demo prints
	@$(BIN)/python -m docs.picture

clean:  ## Remove ./.venv and the tools' caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# uv does the installing. Where it is missing, the first Python that is new enough makes .venv and uv goes into it;
# --inexact lets it stay there.
.venv/.ready: pyproject.toml tracer/pyproject.toml uv.lock
	@set -eu; \
	uv=$$(command -v uv || true); \
	if [ -z "$$uv" ]; then \
	    uv=$(BIN)/uv; \
	    if [ ! -x "$$uv" ]; then \
	        for python in python3 python3.14 python3.13 python3.12 python3.11 none; do \
	            "$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	        done; \
	        if [ "$$python" = none ]; then \
	            echo "Backtrail needs Python 3.11 or newer with its venv module (Debian, Ubuntu: python3-venv), or uv. Neither was found." >&2; \
	            exit 1; \
	        fi; \
	        echo "Setting up .venv with $$("$$python" --version)"; \
	        "$$python" -m venv .venv; \
	        $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	    fi; \
	fi; \
	"$$uv" sync --locked --all-packages --inexact --quiet; \
	touch $@
