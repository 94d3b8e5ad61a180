# Two commands matter: `make run` and `make test`. Both set up what they need; stamps make a second run instant.

.DEFAULT_GOAL := help
SHELL := /bin/sh

# The first Python of 3.11 or later that this machine has; `make PYTHON=/path/to/python run` overrides.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEVELOPED := $(VENV)/.developed
# Every file of a lock is named by its hash: an index or a proxy that serves something else is refused.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED := install --require-hashes --no-deps
# The project itself is built by the locked hatchling, without fetching a build environment.
ITSELF := install --no-deps --no-build-isolation --editable .
COMPILE := $(BIN)/python -m uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --quiet
# Torch stays out of the scanners' lock, with what its builds for graphics cards bring (decision 0095).
NO_TORCH := $(foreach name,torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver \
	nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx, \
	--no-emit-package $(name))
WORKERS ?= 4
# Servers and commands that tests start would else compile every module anew: seconds of each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run install environments test test-ner test-scanners test-contract lint demo bench bench-detection lock clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## Set up and serve the console, the API and the worker at http://127.0.0.1:8501
	$(BIN)/governance serve

install: $(INSTALLED) ## Make .venv with the locked dependencies and the project

environments: $(DEVELOPED) ## Make the further environments that CI tests with: instrumentors, scanners and others
	$(BIN)/python -m tests.environments

test: $(DEVELOPED) ## Run all tests, on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-ner: $(DEVELOPED) ## Run the tests of Presidio's analyzer; makes its environment once (some 300 MB)
	NER=1 $(BIN)/python -m pytest tests/ner $(ARGS)

test-scanners: $(DEVELOPED) ## Run the tests of model scanners; makes their environment once (some 2 GB)
	SCANNERS=1 $(BIN)/python -m pytest tests/scanners $(ARGS)

test-contract: $(DEVELOPED) ## Compare the API with its OpenAPI document, by Schemathesis; makes its environment once
	CONTRACT=1 $(BIN)/python -m pytest tests/contract $(ARGS)

lint: $(DEVELOPED) ## Check style, types, the floors and the policies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/governance policy lint

demo: $(INSTALLED) ## Send sample traffic through the real receiver
	$(BIN)/governance demo

bench: $(DEVELOPED) ## Measure speed and memory beside the machine's own limit
	$(BIN)/python -m benchmarks $(ARGS)

bench-detection: $(DEVELOPED) ## Measure what is found in labelled sets: make bench-detection DATA=/path [ARGS=--write]
	@test -n "$(DATA)" || { echo "Name the folder of labelled sets: make bench-detection DATA=/path" >&2; exit 1; }
	$(BIN)/python -m benchmarks.detection $(DATA) $(ARGS)

lock: $(DEVELOPED) ## Resolve the dependencies anew and write the locks
	$(PIP) install uv
	$(COMPILE) --upgrade --group dev --group build --output-file requirements-dev.lock
	$(COMPILE) --upgrade --group build --constraints requirements-dev.lock --output-file requirements.lock
	$(COMPILE:--universal=) --upgrade --extra ner --constraints requirements-dev.lock --output-file requirements-ner.lock
	$(COMPILE:pyproject.toml=) --upgrade --group instrumented --output-file requirements-instrumented.lock
	$(COMPILE:pyproject.toml=) --upgrade --group contract --output-file requirements-contract.lock
	$(COMPILE:pyproject.toml=) --upgrade --group oscal --output-file requirements-oscal.lock
	$(COMPILE:pyproject.toml=) --upgrade --group peers --output-file requirements-peers.lock
	$(COMPILE:pyproject.toml=) --upgrade --group llm-guard $(NO_TORCH) --output-file requirements-llm-guard.lock

clean: ## Remove the environments and what tools left behind; data in ./var stays
	rm -rf $(VENV) .venv-contract .venv-instrumented .venv-ner .venv-oscal .venv-peers .venv-scanners dist .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found on the PATH." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) (a minute, once)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "No environment could be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@$(PIP) $(LOCKED) --requirement requirements.lock
	@$(PIP) $(ITSELF)
	@touch $@

$(DEVELOPED): requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(PIP) $(LOCKED) --requirement requirements-dev.lock
	@$(PIP) $(ITSELF)
	@touch $@ $(INSTALLED)
