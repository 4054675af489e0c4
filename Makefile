# Everything a clone needs is python3 (3.11 or newer) and make. `make help` lists what there is.
PYTHON ?= python3
JOBS ?= 2
PROFILE ?= $(or $(FASHIONNB_PROFILE),standard)
BIN := .venv/bin
READY := .venv/.ready
TORCH ?= $(shell cat $(READY) 2>/dev/null)# as it was made: cpu, or nothing
ifneq ($(filter-out cpu,$(TORCH)),)
$(error TORCH is '$(TORCH)'; the one choice is TORCH=cpu, which leaves out the CUDA libraries. Say nothing for the usual wheels)
endif

.DEFAULT_GOAL := help
.PHONY: help book test lab sync lint clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

# A chapter that fails (status 1) stops neither the others nor the pages: it has a page that says so.
book: $(READY) ## Run every chapter (PROFILE=quick, standard or full; standard) and publish the pages; STRICT=1: claims must hold; TORCH=cpu: no CUDA libraries
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

# The environment follows the lock; it is made again only if what describes it changed. With TORCH=cpu torch comes from
# PyTorch's index of CPU builds, without hashes since the lock has those of the usual wheels, and all else by the lock.
$(READY): requirements.lock pyproject.toml fashionnb/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is missing or older than Python 3.11. Install a newer one, or name it: make PYTHON=python3.12 ..."; exit 2; } >&2
	@if ! test -x $(BIN)/python; then \
		if command -v uv >/dev/null; then uv venv --python "$$(command -v $(PYTHON))" .venv; else $(PYTHON) -m venv .venv; fi; \
	fi
	@command -v uv >/dev/null || test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	@install="$$(command -v uv || echo $(BIN)/uv) pip install --python $(BIN)/python"; \
		lock="-r requirements.lock"; \
		if test "$(TORCH)" = cpu; then \
			if $$install --no-deps --torch-backend cpu $$(sed -nE 's/^(torch(vision)?==[^ ]+).*/\1/p' requirements.lock) 2>.venv/torch.log; then \
				awk '/^[a-z]/ { left_out = /^(torch|torchvision|triton)==|^(nvidia|cuda)-/ } !left_out' requirements.lock >.venv/cpu.lock; \
				lock="--no-deps -r .venv/cpu.lock"; \
			else \
				echo "PyTorch's CPU builds cannot be had here (.venv/torch.log says why): the usual wheels are installed, with the CUDA libraries." >&2; \
			fi; \
		fi; \
		$$install --compile-bytecode --require-hashes $$lock && \
		$$install --no-deps --no-build-isolation -e .
	@echo "$(TORCH)" >$@
