# Everything a developer does here. The tools come from a lock into .venv, once per change of the lock.

PYTHON ?= python3
STAGE ?= dev
DO ?= show
PYTEST_ARGS ?= -n 2

VENV := .venv
BIN := $(VENV)/bin
LOCK := .ci/requirements-dev.txt
READY := $(VENV)/.ready-$(shell cksum $(LOCK) | cut -d ' ' -f 1)
UV_COMPILE := $(CURDIR)/$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --fork-strategy fewest \
	--custom-compile-command 'make lock'

# $(call compile_locks,DIRECTORY,FLAGS): resolves the two locks there. Existing pins stay unless FLAGS say otherwise.
define compile_locks
cd $(1) && $(UV_COMPILE) $(2) pyproject.toml --output-file requirements.txt && \
$(UV_COMPILE) $(2) pyproject.toml --group dev --constraint requirements.txt --output-file $(LOCK)
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup run test check fix lock lock-check bench simulate package deploy undeploy keys clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install the locked tools into .venv (every command does it by itself)

$(READY):
	@command -v $(PYTHON) >/dev/null || { echo "Stepwell needs Python 3.11 or newer: $(PYTHON) is not on PATH. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Stepwell needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks its venv module. Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): a minute, once ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes --requirement $(LOCK)
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s" -P -m infra.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)/python" >$(BIN)/stepwell
	@chmod +x $(BIN)/stepwell
	@touch $@

run: $(READY) ## serve on http://127.0.0.1:8000 (PORT=...), the API under /api
	@$(BIN)/python -m infra.local

test: $(READY) ## run every test (PYTEST_ARGS=...)
	@$(BIN)/python -m tests.support.dynamodb_local
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(READY) ## formatting, lint, types, the arrows between rooms, the locks
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "Formatting differs; 'make fix' mends it." >&2; exit 1; }
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy
	@report=$$($(BIN)/lint-imports) || { echo "$$report"; exit 1; }
	@$(MAKE) --no-print-directory lock-check

fix: $(READY) ## format, and mend what ruff can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

lock: $(READY) ## bring both locks in line with pyproject.toml (UPGRADE=1: and to the newest releases)
	@$(call compile_locks,.,$(if $(UPGRADE),--upgrade))

lock-check: $(READY)
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	cp pyproject.toml requirements.txt "$$fresh" && mkdir "$$fresh/.ci" && cp $(LOCK) "$$fresh/.ci" && \
	( $(call compile_locks,"$$fresh") ) && \
	{ diff -u requirements.txt "$$fresh/requirements.txt" && \
	  diff -u $(LOCK) "$$fresh/$(LOCK)" || \
	  { echo "The locks do not match pyproject.toml; 'make lock' mends it." >&2; exit 1; } }

bench: $(READY) ## measure every goal of PERFORMANCE.md
	@$(BIN)/python -m tests.bench

simulate: $(READY) ## what a wizard costs, and where its traffic meets a limit (docs/scale.md)
	@$(BIN)/python -m tests.bench.simulate

package: $(READY) ## what a pipeline deploys, into dist (STAGE=dev ARCHITECTURE=arm64|x86_64)
	@$(BIN)/python -m infra.package --stage $(STAGE) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

# $(call said,NAME): what was said with the command itself, and not by a variable that happens to be set.
said = $(if $(findstring command,$(origin $(1))),$($(1)))

deploy: $(READY) ## deploy to AWS (STAGE=dev URL=its own address DRY_RUN=1)
	@$(BIN)/python -m infra.deploy --stage $(STAGE) $(if $(call said,URL),--url '$(URL)') $(if $(DRY_RUN),--dry-run)

undeploy: $(READY) ## take a stage off AWS, but for its data (STAGE=dev DATA=delete-dev: that, too)
	@$(BIN)/python -m infra.undeploy --stage $(STAGE) $(if $(call said,DATA),--data '$(DATA)')

keys: $(READY) ## a stage's keys on AWS (STAGE=dev DO=show|create|add|promote|drop, NOW=1: at once)
	@$(BIN)/python -m infra.keys --stage $(STAGE) $(DO) $(if $(NOW),--now)

clean: ## remove all that these commands made
	@rm -rf $(VENV) .cache dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .chalice/deployments
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
