# demo   set everything up and convert real CMIP6 data          test   run all tests
# check  linters, types, links of the documents                 bench  measure, against the script of June 2020
# bench-s3  a store in a bucket of an S3 server on loopback, against one on disk: twelve minutes on two quiet cores
# experiments  answer the questions of the note of June 2020: docs/answers.md, fifty minutes on two quiet cores
# site   the documents as web pages, in .site: open .site/README.html
# torture  break it on purpose: kills, rot, full disks, S3      fuzz   mutate all that it reads
# bench-scale  measure the workflow itself, on 100,000 datasets
# clean  remove what the others made
# test-browser  look at the report in Chromium, which root gets from Debian packages
# test-slurm  run on a real SLURM of one node, which root gets from Debian packages
# test-slurm-accounting  the same with accounts and LOTUS2's limits
# test-readers  read stores with the readers of Zarr that there are: docs/readers.md
# demo-s3  the demo, to a real S3 server on loopback
# test-s3  run on a real S3 server, SeaweedFS, which pip gets
PYTHON ?= python3
# Of the full counts of `make torture`.
SHARE ?= 1
# Of `make fuzz`.
CASES ?= 10000
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: help demo demo-s3 test test-browser test-readers test-slurm test-s3 test-slurm-accounting check bench bench-s3 bench-scale experiments torture fuzz site clean
.DELETE_ON_ERROR:

help:
	@sed -n '/^PYTHON/q; s/^# //p' Makefile

demo: .venv/run demo/catalogue.json
	$(BIN)/snakemake --cores 2 --configfile config/demo.yaml

demo-s3: .venv/test demo/catalogue.json
	$(BIN)/python tests/s3/server.py --folder demo/s3/server --bucket demo -- \
	  $(BIN)/snakemake --cores 2 --configfile config/demo.yaml \
	  --config store_root=s3://demo/stores results=demo/s3/results

test: .venv/test
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-browser: .venv/test
	command -v chromium > /dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -qq -y chromium; }
	$(BIN)/python -m pytest -m browser

test-readers: .venv/readers
	$(BIN)/python -m pytest -m readers tests/readers

test-slurm: .venv/test
	PATH="$$PATH:/usr/sbin" command -v slurmctld > /dev/null || [ "$$(id -u)" != 0 ] || tests/slurm/cluster.sh install
	$(BIN)/python -m pytest -m slurm

test-slurm-accounting: .venv/test
	PATH="$$PATH:/usr/sbin" command -v slurmdbd > /dev/null || [ "$$(id -u)" != 0 ] || ACCOUNTING=1 tests/slurm/cluster.sh install
	$(BIN)/python -m pytest -m slurm_accounting -s

test-s3: .venv/test
	$(BIN)/python -m pytest -m s3 tests/s3

check: .venv/test demo/catalogue.json
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	PYTHONPATH=scripts $(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy
	$(BIN)/snakemake --lint
	$(MAKE) --silent site

site: .venv/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --fresh-env --write-all -c docs . .site

bench: .venv/bench
	$(BIN)/python experiments/conversion_cost.py
	$(BIN)/python experiments/peak_memory.py
	$(BIN)/python experiments/reading_cost.py

bench-scale: .venv/test
	$(BIN)/python experiments/workflow_cost.py

bench-s3: .venv/test
	$(BIN)/python experiments/answers.py --only object_store

experiments: .venv/test
	$(BIN)/python experiments/answers.py

torture: .venv/test
	$(BIN)/python torture/run.py --share $(SHARE)

fuzz: .venv/test
	$(BIN)/python torture/fuzz.py --cases $(CASES)

clean:
	rm -rf .venv demo .site .snakemake .mypy_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run: envs/requirements.txt envs/requirements-demo.txt | .venv/bin/python
	$(PIP) -r envs/requirements.txt
	$(PIP) --no-deps -r envs/requirements-demo.txt
	touch $@

.venv/test: envs/requirements-test.txt .venv/run
	$(PIP) -r envs/requirements-test.txt
	touch $@

.venv/docs: envs/requirements-docs.txt | .venv/bin/python
	$(PIP) -r envs/requirements-docs.txt
	touch $@

.venv/bench: envs/requirements-bench.txt .venv/test
	$(PIP) --no-deps -r envs/requirements-bench.txt
	touch $@

.venv/readers: envs/requirements-readers.txt .venv/test
	$(PIP) --no-deps -r envs/requirements-readers.txt
	command -v npm > /dev/null || [ "$$(id -u)" != 0 ] || { apt-get update -qq && apt-get install -qq -y npm; }
	! command -v npm > /dev/null || npm install --silent --prefix .venv/node zarrita@0.7.5
	touch $@

demo/catalogue.json: scripts/demo.py | .venv/run
	$(BIN)/python scripts/demo.py demo
