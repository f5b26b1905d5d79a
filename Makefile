# Each target makes .venv and installs what it needs first; only python3 (3.10 or newer) has to be there.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
# Several processes at once; a file stays together, and so do all tests in one ComfyUI.
PYTEST_ARGS ?= --numprocesses auto --maxprocesses 4 --no-loadscope-reorder
DEMO_PICTURE := assets/scene.png
DEMO_QUERY := where is the red star?

FUZZ := tests/fuzz tests/e2e/test_mutated_workflows_in_comfyui.py

.DEFAULT_GOAL := help
.PHONY: help demo check test soak fuzz ruff lint format web types bench pack clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

demo: ## a picture and a question, on the embedded model: writes out/demo/
	$(PYTHON) tools/setup/environment.py standalone
	$(BIN)/python -m api_core prompt $(DEMO_PICTURE) "$(DEMO_QUERY)" -o out/demo --overwrite --save-mask --panel

check: ruff types ## before every commit, two minutes: ruff, mypy, and the quick tests (no ComfyUI, browser or npm)
	COMFYUI_PATH=none-installed $(BIN)/python -m pytest --quick --durations 5 --durations-min 3 $(PYTEST_ARGS)

test: ## every test; with a ComfyUI (COMFYUI_PATH, ~/comfy/ComfyUI, or installed) also those in it
	$(PYTHON) tools/setup/environment.py test
	$(PYTHON) tools/setup/web.py install
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python -m pytest $(PYTEST_ARGS)

soak: ## the long runs that repeat what a shorter test proves: memory, in ComfyUI; kills, full disks and Ctrl-C
	$(PYTHON) tools/setup/environment.py test
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python -m pytest -m soak

fuzz: ## N examples (1000) of each kind, always new ones: calls of the library, prompts of nodes, mutated workflows
	$(PYTHON) tools/setup/environment.py test
	ATTENTION_PROMPTING_FUZZ=$(or $(N),1000) COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python -m pytest --timeout 0 $(FUZZ)

ruff:
	$(PYTHON) tools/setup/environment.py dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint: ruff ## ruff: rules and formatting; with Node.js also eslint and tsc over web/
	$(PYTHON) tools/setup/web.py lint

format: ## ruff: mend what it can
	$(PYTHON) tools/setup/environment.py dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

web: ## build what the page loads, web/dist, from web/modules; needs Node.js
	REQUIRE_NODE=1 $(PYTHON) tools/setup/web.py build

types: ## mypy
	$(PYTHON) tools/setup/environment.py dev
	mkdir -p build/types && ln -sfn ../.. build/types/attention_prompting
	cd build/types && "$(CURDIR)/$(BIN)/mypy" --config-file attention_prompting/pyproject.toml \
		attention_prompting/api_core attention_prompting/nodes

bench: ## the measurements of docs/results.md (minutes)
	$(PYTHON) tools/setup/environment.py test
	$(BIN)/python tools/benchmarks/clip_cost.py all --model ViT-L-14-336
	$(BIN)/python tools/benchmarks/overlay_cost.py
	$(BIN)/python tools/benchmarks/lvlm_capture_cost.py all
	$(BIN)/python tools/benchmarks/calibrated_cost.py --tokens 64
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python tools/benchmarks/host_memory.py free
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python tools/benchmarks/host_memory.py runs
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python tools/benchmarks/live_redraw.py
	COMFYUI_PATH="$$(cat .venv/comfyui-path)" $(BIN)/python tools/benchmarks/viewer_cost.py

pack: ## node.zip, as the Comfy registry gets it
	$(PYTHON) tools/setup/environment.py test
	$(BIN)/comfy --skip-prompt node validate
	$(BIN)/comfy --skip-prompt node pack

clean: ## remove the environment and what was built
	rm -rf .venv tests/web/node_modules build dist *.egg-info node.zip out .mypy_cache .ruff_cache .pytest_cache
