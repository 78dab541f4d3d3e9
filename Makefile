# The commands of this repository; `make help` lists them. Each one makes the
# environment first if it is not there: nothing has to be installed by hand.

RUN := .venv/bin/python
# One stamp per content of what the environment is made from, and per place.
STAMP := .venv/.installed-$(shell (pwd; cat constraints.txt setup.py .ci/env.sh) | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help env demo test test_long lint format bench fuzz build_file mutants clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z_]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

env: $(STAMP) ## make .venv: finds or fetches a Python 3.10 or 3.9 (PYTHON=... names one), installs the pins

$(STAMP):
	@.ci/env.sh $@

demo: $(STAMP) ## the main job: a TFX pipeline that skips the training that would be wasted, live
	$(RUN) -W ignore -m pipelines.flights.demo

test: lint ## lint, then every test that does not take minutes
	$(RUN) -m pytest -m "not long"

test_long: $(STAMP) ## the tests that take minutes: the demo, containers, pipelines on real servers
	$(RUN) -m pytest -m long

lint: $(STAMP) ## ruff and mypy
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

format: $(STAMP) ## let ruff mend what it can
	$(RUN) -m ruff check --fix
	$(RUN) -m ruff format

bench: $(STAMP) ## measure whole processes, time and memory (MODELS="1500 45000"); writes bench_output/
	$(RUN) -m tests.benchmarks.bench $(if $(MODELS),--models $(MODELS))

mutants: $(STAMP) ## do the nearest tests notice changes of the code? (ARGS="policy.decide --sample 60"); hours for all
	nice $(RUN) -m tests.mutants $(ARGS)
fuzz: $(STAMP) ## damaged stores, archives, models, payloads and URIs (SECONDS=600)
	$(RUN) -W ignore -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

build_file: $(STAMP) ## write BUILD anew from the imports
	$(RUN) -m tests.make_build

clean: ## remove what the tools leave behind; .venv stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis demo_output bench_output
	find tfx_graphlets tests pipelines -name __pycache__ -type d -prune -exec rm -rf {} +
