# Everything a clone needs is python3 (3.11 or newer) and make. `make help` lists what there is.
PYTHON ?= python3
JOBS ?= 2
PROFILE ?= $(or $(FASHIONNB_PROFILE),standard)
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help book test lab sync lint clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

# A chapter that fails (status 1) stops neither the others nor the pages: it has a page that says so.
book: $(READY) ## Run every chapter (PROFILE=quick, standard or full; standard) and publish the pages; STRICT=1: claims must hold
	@$(BIN)/fashionnb run --profile $(PROFILE) || test $$? -eq 1
	@$(BIN)/fashionnb publish --profile $(PROFILE) $(if $(STRICT),--strict)

# Each file stays in one process: what it builds is built once. One thread a process, so that they do not fight.
test: lint ## Lint, unit tests, every notebook, a quick build of the book, the browser check
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder --durations=20

lab: $(READY) ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab book

sync: $(READY) ## Make the .ipynb beside each chapter from its .md
	$(BIN)/fashionnb sync

lint: $(READY) ## Formatting, ruff, stale pairs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/fashionnb sync --check

clean: ## Remove what was built (the environment stays: delete .venv for that)
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

# The environment follows the lock; it is made again only if the lock or pyproject.toml changed.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is missing or older than Python 3.11. Install a newer one, or name it: make PYTHON=python3.12 ..."; exit 2; } >&2
	@if ! test -x $(BIN)/python; then \
		if command -v uv >/dev/null; then uv venv --python "$$(command -v $(PYTHON))" .venv; else $(PYTHON) -m venv .venv; fi; \
	fi
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@uv=$$(command -v uv || echo $(BIN)/uv); \
		$$uv pip install --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock && \
		$$uv pip install --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@
