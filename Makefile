# One word for each thing one does with a checkout. Only Python 3.11 or newer, git and make are needed; `test` needs Go too.
BIN := .venv/bin
CODE := imps_multi tests benchmarks
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --universal
# Two workers: on two cores the tests wait half of their time. A file stays whole; what needs real servers comes first.
WORKERS := --numprocesses=logical --maxprocesses=2 --dist=loadfile --no-loadscope-reorder
ARGS ?=

.PHONY: help setup servers lint format test bench demo lock clean

help: ## say what there is
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile

setup: ## make .venv with everything for development, from the locked requirements
	@.ci/venv dev

servers: setup ## find, build or fetch kube-apiserver, etcd and docker-registry for the tests; kept in the user's cache directory
	@$(BIN)/python -m tests.realcluster.binaries
	-@$(BIN)/python -m tests.realregistry.package

lint: setup ## all gates but the tests, each of them even when one before it failed
	@failed=0; \
	for gate in "ruff format --check $(CODE)" "ruff check $(CODE)" mypy lint-imports "flake8 --select=ASYNC $(CODE)"; do \
		echo "$$gate"; $(BIN)/$$gate || failed=1; \
	done; exit $$failed

format: setup ## put the code into shape
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

test: setup servers ## every test, those on real kube-apiservers too, two at a time; ARGS="-k word" narrows, ARGS=-n0 runs one at a time
	$(BIN)/pytest $(WORKERS) $(ARGS)

bench: setup servers ## measure, print ratios and write them down
	$(BIN)/python -m benchmarks $(ARGS)

demo: ## watch it work: three clusters and a registry in one process, about a minute
	@.ci/venv run
	@$(BIN)/imps-multi demo $(ARGS)

lock: setup ## renew requirements/*.txt after a change of pyproject.toml; ARGS=--upgrade takes newer versions
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(LOCK) $(ARGS) pyproject.toml -o requirements/run.txt
	$(LOCK) $(ARGS) --all-extras -c requirements/run.txt pyproject.toml -o requirements/dev.txt
	$(LOCK) $(ARGS) -c requirements/dev.txt requirements/build.in -o requirements/build.txt

clean: ## remove what the other words made in the checkout; the servers stay in the cache
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
