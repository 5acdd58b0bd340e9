# The commands that people and CI use; each makes what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGES := shared local cli deploy serving_image training_image
FUNCTIONS := $(notdir $(patsubst %/main.py,%,$(wildcard functions/*/main.py)))

SCRIPTS := deploy.sh $(wildcard examples/*.sh) .ci/run

# Processes by the dozen import the same modules: they are compiled once, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check bench kills soak faults fuzz emulator deploy-check story cloud-run code-pushed docs requirements

demo: $(READY)
	$(BIN)/serin demo --home build/demo

test: $(READY)
	$(BIN)/pytest -q -n 2

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES) bench
	@set -e; for function in $(FUNCTIONS); do \
		MYPYPATH=functions/$$function $(BIN)/mypy functions/$$function; \
	done
	$(BIN)/lint-imports
	$(BIN)/shellcheck $(SCRIPTS)
	$(BIN)/python -m tests.cloudbuild
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows examples/github/workflows/*.yml
	$(BIN)/check-jsonschema --quiet --builtin-schema custom.github-workflows-require-timeout examples/github/workflows/*.yml
	@set -e; for file in $(wildcard cloudbuild*.yaml); do \
		$(BIN)/check-jsonschema --quiet --builtin-schema vendor.cloudbuild $$file; \
	done

bench: $(READY)
	$(BIN)/python -m bench $(SUBJECTS)

# Every process of the local cloud ended without warning in every act: about twenty minutes.
kills: $(READY)
	$(BIN)/python -m tests.e2e.kills --home build/kills

# 200 runs and 10,000 uploads while everything is killed at named points and at random, repeated and reordered: half an
# hour on two quiet cores; smaller by RUNS, UPLOADS and MINUTES.
RUNS ?= 200
UPLOADS ?= 10000
MINUTES ?= 30
soak: $(READY)
	$(BIN)/python -m tests.e2e.soak --home build/soak --runs $(RUNS) --uploads $(UPLOADS) --minutes $(MINUTES)

# Two deaths, three deliveries, every fault and pairs of faults of whole runs, for MINUTES (60) at most.
faults: MINUTES = 60
faults: $(READY)
	$(BIN)/python -m tests.faults --home build/faults --minutes $(MINUTES)

# The fuzzers of the local cloud and of the serving container for as long as a coffee takes.
fuzz: $(READY)
	SERIN_FUZZ_EXAMPLES=3000 $(BIN)/pytest -q -n 2 --timeout 3600 tests/local tests/serving_image -k "internal_error"

# The tests of Pub/Sub on Google's emulator, the slow ones too.
emulator: $(READY)
	SERIN_EMULATOR=long $(BIN)/pytest -q -n 2 tests/local/pubsub -k googles

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Serin needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

# The whole of deploy.sh with gcloud against a loopback server: a deployment, a second one, its removal; minutes.
deploy-check: $(READY)
	SERIN_DEPLOY_CHECK=full $(BIN)/pytest -q -s tests/deploy/test_on_gcloud.py

# A short story on an installation: cloudbuild.yaml names one (SERIN_STORY_PROJECT), else a local one is made for it.
story: $(READY)
	SERIN_STORY=installed $(BIN)/pytest -q --timeout 7200 tests/e2e/test_story_on_an_installation.py

# Acts 1 to 4 on the wire, with a model that is trained and served on Cloud Run.
cloud-run: $(READY)
	SERIN_CLOUD_RUN=1 $(BIN)/pytest -q tests/e2e/test_story_on_the_wire.py -k cloud_run

# The last step of a delivery: make code-pushed COMMIT=…
code-pushed: $(READY)
	$(BIN)/serin code-pushed --commit $(COMMIT)

docs: $(READY)
	$(BIN)/python -m cli.pages

# Needs uv; writes the pinned requirements anew from the .in files.
requirements:
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header --no-annotate requirements.in -o requirements.txt
	for folder in serving_image training_image $(addprefix functions/,$(FUNCTIONS)); do \
		uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-header --no-annotate -c requirements.txt \
			$$folder/requirements.in -o $$folder/requirements.txt; \
	done
