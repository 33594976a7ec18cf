# Every target installs what it needs into .venv: Python 3.10+, pip and make are enough.
PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
PYTEST_ARGS ?=
WORKERS ?= 5

export AIRFLOW__CORE__LOAD_EXAMPLES := False
export AIRFLOW__USAGE_DATA_COLLECTION__ENABLED := False
# The tests start more than a hundred Pythons. Where this is set, as in many containers, each compiles Airflow and the
# tests anew, which takes longer than what it then does.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test tests-of-parts tests-of-whole test-thorough test-oldest lint format docs ui build benchmarks constraints clean

help:  ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# With uv where it can be installed, else with pip (uv does not read pip's configuration).
define install
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check uv || true
	VIRTUAL_ENV=$(abspath $(1)) $(1)/bin/uv pip install --quiet --constraint $(2) --editable '.[dev]' \
		|| $(1)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(2) --editable '.[dev]'
	touch $(1)/.ready
endef

$(VENV)/.ready: pyproject.toml constraints.txt
	$(call install,$(VENV),constraints.txt)

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt
	$(call install,$(OLDEST),constraints-oldest.txt)

setup: $(VENV)/.ready  ## install everything into .venv

demo: setup  ## run a campaign of 200 contacts with redials on the sandbox and check how often each person was rung
	$(VENV)/bin/python -m dev.demo

# Tests that start a whole Airflow run one at a time. They mostly wait, so the other tests run beside them, and give way
# where both want a core. Their output is shown at the end. Half of the time the other tests wait for servers and
# databases, so five workers keep two cores busy; each worker more costs ten seconds of its own.
define run_tests
	@$(MAKE) --no-print-directory -j 2 MARKED='$(1)' tests-of-parts tests-of-whole; \
		status=$$?; cat .whole.log; exit $$status
endef

tests-of-parts:
	nice -n 5 $(VENV)/bin/python -m pytest -m "not standalone and $(MARKED)" -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

tests-of-whole:
	$(VENV)/bin/python -m pytest -m "standalone and $(MARKED)" $(PYTEST_ARGS) >.whole.log 2>&1

test: setup  ## run the tests
	$(call run_tests,not thorough)

test-thorough: setup  ## run the proofs that take minutes: mutations of the guard, killed workers, many waits, each vendor's demo, the docs' code
	$(call run_tests,thorough)

# Also of the modules that know no Airflow: the oldest requests, urllib3, SQLAlchemy, ... come with the oldest Airflow.
test-oldest: $(OLDEST)/.ready  ## run the tests on the oldest supported Airflow
	nice -n 10 $(OLDEST)/bin/python -m pytest -m "not standalone and not once and not thorough" -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

lint: setup  ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup  ## let ruff rewrite what it can
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

# Beside the tests' packages, because the API reference imports the package and Airflow.
$(VENV)/.docs: $(VENV)/.ready
	VIRTUAL_ENV=$(abspath $(VENV)) $(VENV)/bin/uv pip install --quiet --constraint constraints.txt --editable '.[docs]' \
		|| $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

docs: $(VENV)/.docs  ## the documentation as HTML in docs/_build; a warning is an error
	AIRFLOW_HOME=$(abspath docs/_build/airflow) $(VENV)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

ui: setup  ## Airflow, the sandbox and the example DAGs with their connections; prints the address
	$(VENV)/bin/python -m dev.ui

build: setup  ## wheel and sdist, checked
	rm -rf dist
	$(VENV)/bin/python -m build --quiet
	$(VENV)/bin/twine check --strict dist/*

benchmarks: setup  ## print the figures of benchmarks/
	for file in benchmarks/*.py; do echo "== $$file"; $(VENV)/bin/python $$file || exit 1; done

constraints: setup  ## resolve the constraints files again
	./.ci/constraints $(VENV)/bin/uv

clean:  ## remove everything that the targets made
	rm -rf $(VENV) $(OLDEST) .whole.log .demo .ui dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
