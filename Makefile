# Everything from a fresh clone to a result needs Python 3.11 to 3.13 and make alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SCRIPTS := .ci/run scripts/chromium deploy/slurm/caviar-worker.sbatch

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types check bench chaos hostile peers pictures constraints audit sbom clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY) ## make .venv with all that development needs

# Two steps: what is pinned comes with its hashes checked, the project itself has no single file to hash.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Caviar needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' \
		|| { echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): about 120 packages, 700 MB; a minute or two with a fast network"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --require-hashes -r constraints.txt
	$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## service, two workers and an example study on this machine, to the table of its best trials
	$(BIN)/caviar demo

test: setup ## all tests; Chromium is installed first where it is missing and apt can
	scripts/chromium
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: setup ## style, layers, Dockerfile, YAML, shell scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml docker-compose.gpu.yml
	$(BIN)/yamllint --strict .
	$(BIN)/shellcheck $(SCRIPTS)

types: setup ## mypy --strict
	$(BIN)/mypy

check: lint types test ## all that must hold before a change lands

bench: setup ## what a training and a search cost; docs/benchmarks.md tells of the other figures
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/search_cost.py

chaos: setup ## half an hour of faults of every kind on each database, then the books are checked; docs/chaos.md
	$(BIN)/python -m tests.chaos --database sqlite
	$(BIN)/python -m tests.chaos --database postgres

peers: setup ## real trainings against other tuners, which are installed first; most of an hour
	$(BIN)/pip install -qq --disable-pip-version-check -e '.[benchmarks]'
	$(BIN)/python benchmarks/search_real.py

hostile: setup ## Schemathesis on the whole API, and ten minutes of fuzzing per target; some hours
	$(BIN)/python -m tests.hostile.api --requests 20000
	$(BIN)/python -m tests.hostile.fuzz --minutes 10

pictures: setup ## the pictures of the documentation, from a study that is trained for them; some minutes
	scripts/chromium
	$(BIN)/python -m tests.browser.pictures

# From the registry that holds the published files: a machine's own mirror folders may hold files of other hashes.
COMPILE = env -u UV_INDEX -u UV_FIND_LINKS UV_NO_CONFIG=1 $(BIN)/uv pip compile --quiet --universal --upgrade \
	--python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-annotate --no-emit-index-url \
	--no-emit-find-links

constraints: setup ## pin the newest allowed versions of everything, with hashes
	$(COMPILE) --extra dev -o constraints.txt pyproject.toml
	$(COMPILE) --extra service --extra postgres --extra oidc --extra otel --constraint constraints.txt -o constraints/service.txt pyproject.toml
	$(COMPILE) --extra worker-cpu --constraint constraints.txt -o constraints/worker-cpu.txt pyproject.toml
	$(COMPILE) --extra worker-gpu --constraint constraints.txt -o constraints/worker-gpu.txt pyproject.toml
	echo hatchling | $(COMPILE) --constraint constraints.txt -o constraints/build.txt -

PINS = constraints.txt constraints/build.txt constraints/service.txt constraints/worker-cpu.txt constraints/worker-gpu.txt

audit: setup ## known vulnerabilities of all that is pinned; needs the network
	set -e; for file in $(PINS); do echo "$$file"; \
		$(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes --requirement $$file; done

sbom: setup ## what is pinned, as CycloneDX in dist/sbom.cdx.json
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements constraints.txt --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file dist/sbom.cdx.json

clean: ## remove what tools left behind, .venv included
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
