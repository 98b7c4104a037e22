# make demo  : environment, installation and the main job (minutes on two cores)
# make test  : environment, installation and the tests
# make coverage : the tests once more, slower by a third, and which lines of mpijax none of them runs; less than 95 % is an error
# make quick : the tests of the packages that compile little, without those marked slow (minutes less than all)
# make bench : the benchmarks, and one table of what they measured and what is wanted in runs/benchmarks.md (20 minutes on two quiet cores)
# make docs  : the site in docs/_build/html, its gallery run, its links followed; a warning is an error (10 minutes on two cores)
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# in the order of the folders: by their numbers of tests, as the plugin sorts them, the longest files come last
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test coverage quick lint bench docs clean

demo: $(VENV)/.installed
	$(BIN)/python -m experiments.vrfnet_open_mpi --preset quick --run-dir runs/demo

test: $(VENV)/.installed-test
	$(PYTEST)

coverage: $(VENV)/.installed-test
	$(PYTEST) --cov=mpijax --cov-report=term:skip-covered --cov-fail-under=95

QUICK := core rows physics io identification viz test_imports.py test_metrics.py

quick: $(VENV)/.installed-test
	$(PYTEST) -m "not slow" $(addprefix tests/,$(QUICK))

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.all --out runs/benchmarks.md

docs: $(VENV)/.installed-docs
	rm -rf docs/_build docs/generated
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mpijax needs Python 3.11 or later; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/generated build dist *.egg-info .coverage .pytest_cache .mypy_cache .ruff_cache
