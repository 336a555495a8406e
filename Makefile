# Two commands do everything: `make nightly` shows the loop at work, `make test` proves it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: nightly test chaos test-gpu test-duckdb test-bench postgres check bench bench-detector default-detector sandbox sandbox-policy clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

nightly: $(INSTALLED) ## set up, then run the main job on the example logs
	$(BIN)/driftmine nightly --logs 'examples/logs/*.jsonl*' --log-date 2026-11-01

sandbox: $(INSTALLED) ## watch the loop work: simulated users, a tiny policy, three nights
	$(BIN)/driftmine sandbox --home build/sandbox

test: $(INSTALLED) ## set up, then run the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

chaos: $(INSTALLED) ## kill the warehouse's work at every step and 200 times at random; any order of it
	$(BIN)/python -m pytest -m chaos -n auto --dist load

test-gpu: $(INSTALLED) ## what only a GPU can show, and speed on it (random weights)
	$(BIN)/python -m pytest -m gpu tests/gpu
	$(BIN)/python bench/train.py compare --shape 0.5b --repeats 3

test-duckdb: $(INSTALLED) ## read the warehouse with an older DuckDB, which pip fetches
	$(BIN)/python -m pytest -m other_duckdb tests/warehouse

test-bench: $(INSTALLED) ## run the commands in bench/ on little, so that they stay whole
	$(BIN)/python -m pytest -m bench -n auto --dist load

postgres: ## install PostgreSQL's server (Debian, Ubuntu; as root), for the tests that need one
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -y -qq --no-install-recommends postgresql >/dev/null; } || { \
		echo "PostgreSQL's server could not be installed here. Install it by hand (its initdb" \
			"on the PATH will do), then run again." >&2; exit 1; }

check: $(INSTALLED) ## style, types and import layers, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED) ## the figures of docs/measurements.md that need no data of your own
	$(BIN)/python bench/startup.py
	$(BIN)/python bench/nightly.py examples/logs/*.jsonl*
	$(BIN)/python bench/ingest.py cpu

# A folder of labelled files beside the project's own, and the encoder to fine-tune.
DATA ?= data
ENCODER ?= build/all-MiniLM-L6-v2
OWN = mining/data/dsat-authored.jsonl mining/data/dsat-written.jsonl

$(ENCODER)/model.safetensors: | $(INSTALLED)
	$(BIN)/python bench/minilm.py $(ENCODER)

bench-detector: $(ENCODER)/model.safetensors ## how well and how fast dissatisfaction is found (DATA=folder; an hour)
	$(BIN)/python bench/detector.py $(DATA) --encoder $(ENCODER) --work build/bench-detector

# Not on dsat-gold-dev.jsonl: what is reported on that file is what is shipped.
default-detector: $(ENCODER)/model.safetensors ## train the detector that is shipped anew (DATA=folder; an hour)
	$(BIN)/driftmine detector train $(OWN) $(wildcard $(DATA)/dsat-labelled-*.jsonl) \
		--encoder $(ENCODER) --out mining/models/default

sandbox-policy: $(INSTALLED) ## pre-train the sandbox's policy anew (half an hour of one core)
	OMP_NUM_THREADS=1 $(BIN)/python -m driftmine.sandbox.pretrain driftmine/sandbox/data/policy

# torch comes from constraints.txt as a CPU build where one is at hand; for a GPU see README.md.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean: ## remove the environment and the example home
	rm -rf $(VENV) driftmine-home
