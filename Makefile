# The first Python 3.11 or 3.12 there is; `make serve PYTHON=…` names another.
PYTHON ?= $(or $(shell for p in python3 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; \
	done),python3)
DEVICE ?= cpu
# Passed to python -m deploy.local; after --, to the gateway: make serve FLAGS="-- --port 9000"
FLAGS ?=

SERVING := .venv/.ready
DEVELOPMENT := .venv-dev/.ready
PIP_FLAGS := --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := benchmarks contract gateway server training deploy tests

.DEFAULT_GOAL := help
.PHONY: help serve test test-runtimes test-page drills end-to-end perf bench bench-gpu lint format gpu-weights gpu-check check-served clean

help: ## what can be done here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

serve: $(SERVING) ## start Triton and the gateway on this machine (DEVICE=gpu for a GPU)
	@.venv/bin/python -m server install $(if $(filter gpu,$(DEVICE)),--gpu --environment .venv-triton-gpu)
	@exec .venv/bin/python -m deploy.local --device $(DEVICE) \
		$(if $(filter gpu,$(DEVICE)),--environment .venv-triton-gpu) $(FLAGS)

test: $(SERVING) $(DEVELOPMENT) ## run all tests, on the real tritonserver
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest

test-runtimes: $(DEVELOPMENT) ## the committed graphs on every ONNX Runtime that NVIDIA's images carry
	.venv-dev/bin/python -m pytest -m runtimes tests/training

test-page: $(SERVING) $(DEVELOPMENT) ## test the page in a real Chromium
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m page tests/page

# One of them alone: make drills DRILLS=tests/gateway/test_drill_overload.py
DRILLS ?= tests/gateway
drills: $(SERVING) $(DEVELOPMENT) ## the gateway's long drills, half an hour: hostile clients, overload, failures
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m drill -s --timeout=1800 $(DRILLS)

# On real rows: make end-to-end DATA_DIR=directory of <data set>/<split>.jsonl
end-to-end: $(SERVING) $(DEVELOPMENT) ## the whole way, minutes: train, evaluate, audit, publish, serve, publish again
	@.venv/bin/python -m server install
	DATA_DIR=$(DATA_DIR) .venv-dev/bin/python -m pytest -m drill -s --timeout=3600 tests/end_to_end

# TEXTS: any file with one text a line. make perf TEXTS=texts.txt FLAGS="--url gpu-box:8001"
perf: $(SERVING) $(DEVELOPMENT) ## measure Triton with perf_analyzer; TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks.perf $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

# A part, or some subjects, alone: make bench TEXTS=texts.txt FLAGS="--parts http --subjects int8 project"
bench: $(SERVING) $(DEVELOPMENT) ## measure everything beside its peers and write benchmarks/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

bench-gpu: $(SERVING) $(DEVELOPMENT) ## the same for Triton on a GPU, in benchmarks/gpu/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-dev/bin/python -m benchmarks --parts gpu --environment .venv-triton-gpu \
		--output benchmarks/gpu/REPORT.md $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

lint: $(DEVELOPMENT) ## ruff and mypy
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: $(DEVELOPMENT) ## let ruff format the code
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

gpu-weights: $(SERVING) ## make the GPU graphs from the committed weights
	@.venv/bin/python -m pip install $(PIP_FLAGS) --editable '.[export]'
	.venv/bin/python -m training.export.gpu_weights

gpu-check: $(SERVING) ## on a GPU machine: does its GPU answer as the GPU graphs should?
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-triton-gpu/bin/python -m deploy.gpu_check

URL ?= 127.0.0.1:8001
check-served: $(SERVING) ## does a running Triton answer as its versions should? URL=host:8001
	@.venv/bin/python -m deploy.check_served --url $(URL) $(FLAGS)

clean: ## remove the environments and what benchmarks made
	rm -rf .venv .venv-dev .venv-triton .venv-triton-gpu build/benchmarks build/onnxruntime

$(SERVING): pyproject.toml constraints.txt
	@$(PYTHON) -m server check --host-only
	@echo "Preparing .venv (once)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

# PyTorch from PyPI brings CUDA along. For its CPU build, here as anywhere with pip:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make test
$(DEVELOPMENT): pyproject.toml constraints.txt
	@$(PYTHON) -m server check --host-only
	@echo "Preparing .venv-dev (once)"
	@$(PYTHON) -m venv .venv-dev
	@.venv-dev/bin/python -m pip install $(PIP_FLAGS) --editable '.[tracing,training,dev]'
	@touch $@
