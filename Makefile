# Two commands do everything: `make site` builds the report, `make test` runs all tests.
# Both set up the project's own environment in .venv first; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The pre-render step of Quarto runs `python`: that of this environment.
export PATH := $(abspath $(BIN)):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help gallery lab site preview test test-long fast browser pictures screenshot check format lock clean

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

site: $(VENV)/.installed-site ## build the report into _site/ from the committed records
	@python -m lab1 site

preview: $(VENV)/.installed-site ## the same with pandoc, also where there is Quarto
	@python -m lab1 site --preview

lab: $(VENV)/.installed-lab ## open the chapters in JupyterLab, ready to read and run
	@python -m lab1 notebooks
	jupyter lab notebooks

test: check ## all tests: style, types, units, real trainings, chapters (nbval), the site
	python -m pytest -n 2 --nbval-lax tests chapters

test-long: site $(VENV)/.installed-lab ## crash tests at length, the browser on the published site, JupyterLab
	python -m pytest --long -m long tests
	python -m pytest -q tests/browser --project .

fast: $(VENV)/.installed-all ## the tests that take no training and no rendering, in some 75 seconds
	python -m pytest -q -n 2 -m "not slow" tests

browser: $(VENV)/.installed-all ## the tests in a browser alone, on what `make site` has built
	python -m pytest -q tests/browser --project .

pictures: site $(VENV)/.installed-all ## a picture of every page, light and dark, wide and narrow
	python tests/browser/pictures.py test-artifacts/pictures

gallery: $(VENV)/.installed-all ## draw the pictures of the data anew (needs MNIST and the CIFAR-10 copy)
	python -m lab1.training.data.gallery figures

screenshot: site $(VENV)/.installed-all ## take the README's picture of the site anew (needs Quarto)
	@command -v quarto >/dev/null || { echo "the README shows Quarto's site; install Quarto" >&2; exit 1; }
	python tests/browser/pictures.py --readme docs/screenshot.png

# What Colab and VS Code note in a notebook: who ran it, and how it was shown.
EDITORS_NOTES := $(foreach key,id colab executionInfo outputId vscode,cell.metadata.$(key)) \
	metadata.colab metadata.vscode

check: $(VENV)/.installed-all ## style, format and types; chapters must be without outputs
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	nbstripout --keep-id --extra-keys "$(EDITORS_NOTES)" --verify chapters/*.ipynb

format: $(VENV)/.installed-all ## mend what `make check` finds, as far as that can be done
	ruff check --fix .
	ruff format .
	nbstripout --keep-id --extra-keys "$(EDITORS_NOTES)" chapters/*.ipynb

LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-package lab1 --custom-compile-command "make lock"

lock: ## write locks/ anew after a change of requirements.txt or pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "uv resolves the versions: pip install uv" >&2; exit 1; }
	$(LOCK) requirements.txt --output-file locks/all.txt
	grep setuptools requirements.txt | $(LOCK) - pyproject.toml --extra site --constraint locks/all.txt --output-file locks/site.txt
	$(LOCK) pyproject.toml --extra lab --constraint locks/all.txt --output-file locks/lab.txt

clean: ## remove what was built; records, weights and the environment stay
	rm -rf _site ._site-* report reference .jupyter_cache .quarto test-artifacts .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lab1 needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Every package, those that others need too, has its version and hashes in locks/ (`make lock`), so that
# pip takes no other file than the one that was tried. lab1 itself is built by the setuptools listed there.
INSTALL := $(PIP) install --quiet --require-hashes --requirement
INSTALL_LAB1 := $(PIP) install --quiet --no-deps --no-build-isolation --editable .

# Enough for the site: no torch.
$(VENV)/.installed-site: pyproject.toml locks/site.txt | $(BIN)/python
	@echo "installing what the site needs into $(VENV) (about a minute)"
	@$(INSTALL) locks/site.txt
	@$(INSTALL_LAB1)
	@touch $@

$(VENV)/.installed-all: pyproject.toml locks/all.txt | $(BIN)/python
	@echo "installing everything into $(VENV) (about two minutes)"
	@$(INSTALL) locks/all.txt
	@$(INSTALL_LAB1)
	@touch $@ $(VENV)/.installed-site

$(VENV)/.installed-lab: locks/lab.txt $(VENV)/.installed-all
	@echo "installing JupyterLab into $(VENV)"
	@$(INSTALL) locks/lab.txt
	@touch $@
