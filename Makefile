# Each target sets up .venv from requirements.lock first; nothing else is needed than Python 3.11 and make.
SHELL := /bin/bash
# Packages are installed without compiled files, and kept compiled from the first import on.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
COMPILE := $(BIN)/pip-compile --quiet --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-header --no-annotate
CORES ?= all
NEED_GIB := 8
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: demo data test test-slurm lint paper planted setup tensorflow slurm kubernetes lock format clean
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Create .venv from the lock file

$(VENV)/.ready: requirements.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed and was not found; install it, or run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11, for which requirements.lock was made; run: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) lacks the venv module; install it (Debian: python3.11-venv)"; exit 1; }
	@$(PYTHON) -c 'import shutil, sys; free = shutil.disk_usage(".").free / 2**30; sys.exit(f"{free:.1f} GiB of disk are free here; the set-up needs $(NEED_GIB)" if free < $(NEED_GIB) else 0)'
	@echo "Setting up $(VENV) (some minutes, once)"
	@rm -rf $(VENV) && $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -r requirements.lock
	@touch $@

tensorflow: setup $(VENV)/.tensorflow ## Add TensorFlow to .venv, for the twins (1.5 GiB)

$(VENV)/.tensorflow: requirements-tensorflow.lock $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c requirements.lock -r requirements-tensorflow.lock
	@touch $@

slurm: setup $(VENV)/.slurm ## Add what submits to a Slurm cluster to .venv

kubernetes: setup $(VENV)/.kubernetes ## Add what submits to a Kubernetes cluster to .venv

$(VENV)/.slurm $(VENV)/.kubernetes: $(VENV)/.%: requirements-%.lock $(VENV)/.ready
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c requirements.lock -r requirements-$*.lock
	@touch $@

data: setup ## Fetch and prepare the data of a configuration (CONFIG=config/config.yaml) where there is a network
	$(BIN)/snakemake data --cores $(CORES) $(if $(CONFIG),--configfile $(CONFIG))

demo: setup ## Run every plugin on a small planted data set and print the tables (minutes)
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml --quiet rules
	@$(BIN)/python -m regimebench tables results/demo

test: setup ## Run the tests, on all cores
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadgroup --no-loadscope-reorder

test-slurm: slurm ## Start a real Slurm on this machine (root, Debian or Ubuntu), test the profile on it, stop it (10 minutes)
	@test "$$(id -u)" = 0 || { echo "No Slurm was started: its daemons are started by root only; run as root or in a container"; exit 1; }
	@command -v slurmctld slurmd munged >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq slurm-wlm munge >/dev/null; }
	$(BIN)/python -m pytest tests/slurm -q -n 4 --dist worksteal

lint: setup ## Check style and workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

format: setup ## Apply the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

paper: setup ## The papers' protocol: ERA5, CARRA, NCAR; every method; 20 seeds
	$(BIN)/snakemake --cores $(CORES)

planted: setup ## Four families of planted regimes at the papers' size (hours)
	$(BIN)/snakemake --cores $(CORES) --configfile config/planted.yaml

lock: setup ## Renew the lock files from pyproject.toml
	$(COMPILE) --extra dev --output-file requirements.lock pyproject.toml
	@sed -i 's/+cpu$$//' requirements.lock
	@for extra in tensorflow slurm kubernetes; do \
		$(COMPILE) --extra $$extra --constraint requirements.lock --output-file - pyproject.toml \
			| sed 's/+cpu$$//' | grep -vxFf requirements.lock > requirements-$$extra.lock; done

clean: ## Remove results of the demo and smoke runs
	rm -rf results/demo results/smoke
