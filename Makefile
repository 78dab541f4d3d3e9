# The commands of this repository; `make help` lists them. Each one makes the
# environment first if it is not there: nothing has to be installed by hand.

# .venv points to the environment that `make env` chose, .venv-1.16 or .venv-1.21. With TFX=1.16
# or TFX=1.21 a command uses that one; `make env` with it also points .venv there.
VENV := .venv$(if $(TFX),-$(TFX))
RUN := $(VENV)/bin/python
# Tests run in a process more than there are cores (many wait for others), at most four (each
# holds TensorFlow); those of a file in one.
CORES := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((n < 3 ? n + 1 : 4)))
PYTEST := $(RUN) -m pytest -n $(CORES) --dist loadfile
# One stamp per content of what the environment is made from, and per place.
STAMP := $(VENV)/.installed-$(shell (pwd; cat constraints.txt setup.py .ci/env.sh) | cksum | cut -d' ' -f1)

# A set of tests that covers every room, for the TFX that the whole suite does not run on.
ROOMS := tests/analysis tests/backtest/test_backtest.py tests/beam/test_dask.py tests/beam/test_transforms.py \
  tests/cli/test_archive.py tests/cli/test_cli.py tests/cli/test_gate_from.py \
  tests/components/test_gated_pipeline.py tests/components/test_kubeflow.py \
  tests/components/test_rehearsal.py tests/features/test_describe.py tests/features/test_look_back.py tests/formats \
  tests/gate tests/golden tests/graphlets/test_segmentation.py tests/graphlets/test_outcome.py \
  tests/kubeflow tests/monitor/test_monitor.py tests/payloads tests/pipelines/test_penguin.py \
  tests/policy tests/rehearsal tests/report tests/stores tests/study/test_study.py \
  tests/supervision tests/synthetic tests/trace tests/waste_model/test_model.py tests/waste_model/test_training.py
# Gated pipelines in Kubeflow's containers, both ways to compile for it.
CONTAINERS := tests/kubeflow/test_running.py::test_on_open_source_kfp_both_decisions_occur \
  tests/kubeflow/test_running.py::test_on_vertex_a_run_that_is_not_worth_it_stops_at_the_gate

.DEFAULT_GOAL := help
.PHONY: help env demo test test_long test_rooms lint format bench fuzz build_file mutants clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z_]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

env: $(STAMP) ## make .venv: TFX=1.16 or 1.21 (else the newest that runs here), PYTHON=... names one
	@.ci/env.sh link

$(STAMP):
	@.ci/env.sh $@

demo: $(STAMP) ## the main job: a TFX pipeline that skips the training that would be wasted, live
	$(RUN) -W ignore -m pipelines.flights.demo

test: lint ## lint, then every test that does not take minutes
	$(PYTEST) -m "not long"

test_long: $(STAMP) ## the tests that take minutes: the demo, containers, pipelines on real servers
	$(PYTEST) -m long

test_rooms: $(STAMP) ## mypy, and a set of tests that covers every room: CI runs it with TFX=1.21
	$(RUN) -m mypy
	$(PYTEST) -m "not long" $(ROOMS)
	$(PYTEST) $(CONTAINERS)

lint: $(STAMP) ## ruff, mypy and bandit
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) .ci/bandit.py

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
